"""A model before it trains: its modules, what they return and cost, and the memory it takes."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from rich.table import Table

from mmjax.config import Experiment
from mmjax.data.preprocessing import Preprocessing
from mmjax.devices import parallel
from mmjax.errors import UserError
from mmjax.evaluation.flops import flops
from mmjax.models.base import Model
from mmjax.models.train_state import create_state
from mmjax.train.loop.trainer import step_of
from mmjax.train.step.step import eval_step
from mmjax.types import Batch, Masked


class Part(NamedTuple):
    """A module directly below the model, and one call of it."""

    path: str
    kind: str  # its class
    output: str  # the shape, or {modality: shape}
    parameters: int
    flops: float  # of a forward pass, per example


@dataclasses.dataclass(frozen=True)
class Description:
    """What `describe` finds. Memory is what the compiler plans for, in bytes, on one device."""

    batch_size: int
    share: int  # of it on one device
    evaluated: int  # examples per device and call of an evaluation
    parts: list[Part]
    parameters: int
    flops: float  # of the whole forward pass, per example
    evaluation_bytes: int | None = None  # None: not asked for
    training_bytes: int | None = None  # with gradients, optimiser and the updated state

    def table(self) -> Table:
        """For people."""
        shown = Table("module", "kind", "returns", "parameters", "MFLOPs / example")
        for column in shown.columns[3:]:
            column.justify = "right"
        for part in self.parts:
            cost = f"{part.flops / 1e6:,.3f}"
            shown.add_row(part.path, part.kind, part.output, f"{part.parameters:,}", cost)
        shown.add_section()
        shown.add_row("whole model", "", "", f"{self.parameters:,}", f"{self.flops / 1e6:,.3f}")
        return shown

    def memory(self) -> list[str]:
        """A line for each program that was compiled."""
        kinds = {
            f"evaluation of {self.evaluated} examples": self.evaluation_bytes,
            f"a training step, {self.share} of {self.batch_size} examples": self.training_bytes,
        }
        return [
            f"memory on one device, {name}: {size / 2**20:,.1f} MiB"
            for name, size in kinds.items()
            if size is not None
        ]


def describe(
    experiment: Experiment, preprocessing: Preprocessing, *, memory: bool = True
) -> Description:
    """The model of an experiment on batches of its size; nothing is trained, or even initialised.

    With `memory` the very step that a training runs (guarded, its state donated, on a device's
    share of the batch) and the step of an evaluation are compiled.
    """
    compute = experiment.compute
    parallel.request_host_devices(experiment.batch_size // compute.accumulate, compute.devices)
    mesh = parallel.choose(experiment.batch_size, compute.devices, parts=compute.accumulate)
    size, share = experiment.batch_size, experiment.batch_size // mesh.size
    evaluated = max(1, share // compute.accumulate)
    model, inputs = experiment.model, _batch(preprocessing, size).inputs
    start = functools.partial(model.init, train=False)
    variables = dict(jax.eval_shape(start, jax.random.key(0), inputs))
    forward = functools.partial(model.apply, train=False)
    trained = measured = None
    if memory:
        batch = _batch(preprocessing, share)
        state = jax.eval_shape(
            lambda: create_state(model, experiment.update(), batch, seed=0, ema=experiment.ema)
        )
        step = functools.partial(step_of(experiment), axis=None)
        trained = _bytes(jax.jit(step, donate_argnums=0), state, batch)
        measure = functools.partial(eval_step, model=model, objectives=experiment.objectives)
        measured = _bytes(jax.jit(measure), variables, _batch(preprocessing, evaluated))
    return Description(
        batch_size=size,
        share=share,
        evaluated=evaluated,
        parts=_parts(model, variables, inputs),
        parameters=_parameters(variables),
        flops=flops(forward, variables, inputs) / size,
        evaluation_bytes=measured,
        training_bytes=trained,
    )


def _batch(preprocessing: Preprocessing, size: int) -> Batch:
    """The shapes of a batch."""
    empty = {name: [None] * size for name in preprocessing.transforms}
    ids = np.zeros(size, np.int64)
    weight = np.ones(size, np.float32)
    batch = Batch(preprocessing(empty), preprocessing.targeted({}, ids), weight, ids)
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), batch)


def _parts(model: Model, variables: Mapping[str, Any], inputs: Mapping[str, Masked]) -> list[Part]:
    """The calls of the modules below the model, in the order in which they are made."""
    calls: list[tuple[nn.Module, str, tuple, dict, Any]] = []

    def record(call: Callable, args: tuple, kwargs: dict, context: Any) -> Any:
        result, module = call(*args, **kwargs), context.module
        if len(module.path) == 1 and context.method_name == "__call__":
            shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), (args, result))
            calls.append((module.clone(parent=None), module.path[0], shapes[0], kwargs, shapes[1]))
        return result

    with nn.intercept_methods(record):
        jax.eval_shape(functools.partial(model.apply, train=False), variables, inputs)
    batch = next(iter(inputs.values())).mask.shape[0]
    found = []
    for module, path, args, kwargs, result in calls:
        own = {kind: tree[path] for kind, tree in variables.items() if path in tree}
        cost = flops(functools.partial(module.apply, **kwargs), own, *args) / batch
        kind = type(module).__name__
        found.append(Part(path, kind, _shapes(result), _parameters(own), cost))
    return found


def _shapes(result: Any) -> str:
    """Without the axis of the batch, which all have."""
    if isinstance(result, Mapping):
        return ", ".join(f"{name} {_shapes(value)}" for name, value in sorted(result.items()))
    shape = jnp.shape(getattr(result, "values", result))
    return "[" + ", ".join(map(str, shape[1:])) + "]"


def _parameters(variables: Mapping[str, Any]) -> int:
    return sum(x.size for x in jax.tree.leaves(variables.get("params", {})))


def _bytes(compiled: Any, *args: Any) -> int:
    """Arguments, results and what is needed in between, as the compiler has laid it out."""
    plan = compiled.lower(*args).compile().memory_analysis()
    if plan is None:
        raise UserError("this device's compiler tells no memory; leave it out with --no-memory")
    held = plan.argument_size_in_bytes + plan.output_size_in_bytes - plan.alias_size_in_bytes
    return held + plan.temp_size_in_bytes
