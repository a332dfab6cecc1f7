"""A model before it trains: its modules, what they return and cost, and the memory it takes."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from rich.table import Table

from mmjax.config import Experiment
from mmjax.data.preprocessing import Preprocessing
from mmjax.evaluation.flops import flops
from mmjax.layers.tracing.auxiliary import COLLECTION
from mmjax.types import Masked


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
        kinds = {"evaluation": self.evaluation_bytes, "a training step": self.training_bytes}
        return [
            f"memory of {name}, {self.batch_size} examples on one device: {size / 2**20:,.1f} MiB"
            for name, size in kinds.items()
            if size is not None
        ]


def describe(
    experiment: Experiment, preprocessing: Preprocessing, *, memory: bool = True
) -> Description:
    """The model of an experiment on batches of its size; nothing is trained, or even initialised.

    The training step leaves the objectives out, which are small beside the model.
    """
    model, size = experiment.model, experiment.batch_size
    empty = {name: [None] * size for name in preprocessing.transforms}
    inputs = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), preprocessing(empty))
    start = functools.partial(model.init, train=False)
    variables = dict(jax.eval_shape(start, jax.random.key(0), inputs))
    forward = functools.partial(model.apply, train=False)
    compiled: tuple[int | None, int | None] = (None, None)
    if memory:
        step, state = _update(experiment, variables)
        compiled = _bytes(forward, variables, inputs), _bytes(step, state, inputs)
    return Description(
        batch_size=size,
        parts=_parts(model, variables, inputs),
        parameters=_parameters(variables),
        flops=flops(forward, variables, inputs) / size,
        evaluation_bytes=compiled[0],
        training_bytes=compiled[1],
    )


def _parts(
    model: nn.Module, variables: Mapping[str, Any], inputs: Mapping[str, Masked]
) -> list[Part]:
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


def _update(experiment: Experiment, variables: Mapping[str, Any]) -> tuple[Callable, Any]:
    """A step on the mean square of all outputs, and the shapes of its state."""
    tx = experiment.update()
    collections = {name: tree for name, tree in variables.items() if name != "params"}

    def loss(params, collections, inputs, key):
        outputs, changed = experiment.model.apply(
            {"params": params, **collections},
            inputs,
            train=True,
            rngs={"dropout": key},
            mutable=[*collections, COLLECTION],
        )
        return sum(jnp.mean(jnp.square(x)) for x in jax.tree.leaves(outputs)), changed

    def step(state, inputs):
        params, opt_state, collections = state
        key = jax.random.key(0)
        grads, changed = jax.grad(loss, has_aux=True)(params, collections, inputs, key)
        updates, opt_state = tx.update(grads, opt_state, params)
        return (optax.apply_updates(params, updates), opt_state, changed)

    params = variables["params"]
    return step, (params, jax.eval_shape(tx.init, params), collections)


def _bytes(function: Callable, *args: Any) -> int:
    """Arguments, results and what is needed in between, as the compiler has laid it out."""
    plan = jax.jit(function).lower(*args).compile().memory_analysis()
    if plan is None:
        raise ValueError("this device's compiler tells no memory; leave it out with --no-memory")
    held = plan.argument_size_in_bytes + plan.output_size_in_bytes - plan.alias_size_in_bytes
    return held + plan.temp_size_in_bytes
