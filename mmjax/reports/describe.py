"""Describes a model before it trains: modules, their outputs and costs, and memory."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from rich.table import Table

from mmjax.config import Experiment
from mmjax.data.preprocessing import Preprocessing
from mmjax.devices import cpu, parallel
from mmjax.errors import UserError
from mmjax.evaluation.flops import flops
from mmjax.evaluation.forward import batch_shapes, counted, forward_flops, shapes_of
from mmjax.models.base import Model
from mmjax.models.train_state import create_state
from mmjax.train.loop.trainer import step_of
from mmjax.train.step.step import eval_step
from mmjax.types import Masked


class Part(NamedTuple):
    """One call of a top-level module."""

    path: str
    kind: str  # its class
    output: str  # shape without batch, or {modality: shape}
    parameters: int
    flops: float  # of a forward pass, per example


@dataclasses.dataclass(frozen=True)
class Description:
    """The result of `describe`. Memory is in bytes on one device, as the compiler plans it."""

    batch_size: int
    share: int  # examples of a batch on one device
    evaluated: int  # examples per device and call of an evaluation
    parts: list[Part]
    parameters: int
    flops: float  # of the whole forward pass, per example
    evaluation_bytes: int | None = None
    training_bytes: int | None = None  # with gradients, optimiser and the new state

    def table(self) -> Table:
        """The modules as a table to print."""
        table = Table("module", "kind", "returns", "parameters", "MFLOPs / example")
        for column in table.columns[3:]:
            column.justify = "right"
        for part in self.parts:
            cost = f"{part.flops / 1e6:,.3f}"
            table.add_row(part.path, part.kind, part.output, f"{part.parameters:,}", cost)
        table.add_section()
        table.add_row("whole model", "", "", f"{self.parameters:,}", f"{self.flops / 1e6:,.3f}")
        return table

    def memory(self) -> list[str]:
        """One line for each compiled program."""
        programs = {
            f"evaluation of {self.evaluated} examples": self.evaluation_bytes,
            f"a training step, {self.share} of {self.batch_size} examples": self.training_bytes,
        }
        return [
            f"memory on one device, {name}: {size / 2**20:,.1f} MiB"
            for name, size in programs.items()
            if size is not None
        ]


def describe(
    experiment: Experiment, preprocessing: Preprocessing, *, memory: bool = True
) -> Description:
    """Describe the model of an experiment on batches of its size; nothing is computed.

    With `memory` the training step and the evaluation step of one device are compiled.
    """
    compute = experiment.compute
    cpu.request_host_devices(experiment.batch_size // compute.accumulate, compute.devices)
    mesh = parallel.choose(experiment.batch_size, compute.devices, parts=compute.accumulate)
    size, share = experiment.batch_size, experiment.batch_size // mesh.size
    evaluated = max(1, share // compute.accumulate)
    model, whole = experiment.model, batch_shapes(preprocessing, size)
    inputs, targets = whole.inputs, whole.targets

    start = functools.partial(model.init, train=False)
    variables = dict(jax.eval_shape(start, jax.random.key(0), inputs))
    training = evaluation = None
    if memory:
        batch = batch_shapes(preprocessing, share)
        state = jax.eval_shape(
            lambda: create_state(model, experiment.update(), batch, seed=0, ema=experiment.ema)
        )
        step = functools.partial(step_of(experiment), axis=None)
        training = _bytes(jax.jit(step, donate_argnums=0), state, batch)
        measure = functools.partial(eval_step, model=model, objectives=experiment.objectives)
        evaluation = _bytes(jax.jit(measure), variables, batch_shapes(preprocessing, evaluated))
    return Description(
        batch_size=size,
        share=share,
        evaluated=evaluated,
        parts=_parts(model, variables, inputs, targets),
        parameters=_parameters(variables),
        flops=forward_flops(model, variables, preprocessing),
        evaluation_bytes=evaluation,
        training_bytes=training,
    )


def _parts(
    model: Model,
    variables: Mapping[str, Any],
    inputs: Mapping[str, Masked],
    targets: Mapping[str, Masked],
) -> list[Part]:
    """The calls of top-level modules, in their order."""
    calls: list[tuple[nn.Module, str, tuple, dict, dict, Any]] = []
    inside: list[str] = []  # the top-level module that is being called

    def record(call: Callable, args: tuple, kwargs: dict, context: Any) -> Any:
        module = context.module
        # A decoder applies itself for each word: modules within it are at the top there.
        if inside or len(module.path) != 1 or context.method_name != "__call__":
            return call(*args, **kwargs)
        inside.append(module.path[0])
        result = call(*args, **kwargs)
        inside.clear()
        fixed = {name: x for name, x in kwargs.items() if isinstance(x, bool) or x is None}
        given = {name: shapes_of(x) for name, x in kwargs.items() if name not in fixed}
        shapes = shapes_of((args, result))
        own = module.clone(parent=None)
        calls.append((own, module.path[0], shapes[0], fixed, given, shapes[1]))
        return result

    with nn.intercept_methods(record):
        apply = functools.partial(model.apply, train=False)
        jax.eval_shape(lambda v, i, t: apply(v, i, targets=t), variables, inputs, targets)
    batch = next(iter(inputs.values())).mask.shape[0]
    parts = []
    for module, path, args, fixed, given, result in calls:
        own = {kind: tree[path] for kind, tree in variables.items() if path in tree}

        def call(own: Any, args: Any, given: Any, module: Any = module, fixed: Any = fixed) -> Any:
            return counted(module.apply(own, *args, **given, **fixed))

        cost = flops(call, own, args, given) / batch
        parts.append(Part(path, type(module).__name__, _text(result), _parameters(own), cost))
    return parts


def _text(result: Any) -> str:
    """The shapes of a result, without the batch axis."""
    if isinstance(result, Mapping):
        return ", ".join(f"{name} {_text(value)}" for name, value in sorted(result.items()))
    shape = jnp.shape(getattr(result, "values", result))
    return "[" + ", ".join(map(str, shape[1:])) + "]"


def _parameters(variables: Mapping[str, Any]) -> int:
    return sum(x.size for x in jax.tree.leaves(variables.get("params", {})))


def _bytes(compiled: Any, *args: Any) -> int:
    """The memory for arguments, results and temporaries in the compiler's plan."""
    plan = compiled.lower(*args).compile().memory_analysis()
    if plan is None:
        raise UserError("this device's compiler tells no memory; leave it out with --no-memory")
    held = plan.argument_size_in_bytes + plan.output_size_in_bytes - plan.alias_size_in_bytes
    return held + plan.temp_size_in_bytes
