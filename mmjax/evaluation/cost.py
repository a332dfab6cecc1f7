"""The cost of modules: parameters, floating-point operations, time."""

import functools
import time
from collections.abc import Mapping
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from mmjax.evaluation.flops import flops
from mmjax.types import Tokens

ROUNDS = 15  # each times all modules in turn, so that a disturbance affects them alike
LENGTHS = {"a": 6, "b": 12}  # tokens of the modalities that are fused


class Cost(NamedTuple):
    """The cost of one module, for inputs of one size."""

    parameters: int
    flops: float  # of a forward pass, per example
    milliseconds: float  # median, of a forward and a backward pass over one batch
    forward: float = float("nan")  # milliseconds of a forward pass


def measure_costs(
    fusions: Mapping[str, nn.Module],
    *,
    width: int,
    batch: int,
    lengths: Mapping[str, int] = LENGTHS,
) -> dict[str, Cost]:
    """The cost of each fusion on random tokens without missing ones."""
    rng = np.random.default_rng(0)
    tokens = {
        name: Tokens(
            jnp.asarray(rng.normal(size=(batch, length, width)).astype(np.float32)),
            jnp.ones((batch, length), bool),
        )
        for name, length in lengths.items()
    }
    return measure({name: (module, (tokens,)) for name, module in fusions.items()}, batch)


def measure(
    calls: Mapping[str, tuple[nn.Module, tuple[Any, ...]]], batch: int, rounds: int = ROUNDS
) -> dict[str, Cost]:
    """The cost of modules that return Tokens, each with its arguments; compiled.

    Compare times only within one call: on shared cores they vary.
    """
    compiled = {name: _compiled(module, args) for name, (module, args) in calls.items()}
    times = {name: ([], []) for name in calls}
    for _ in range(rounds):
        for name, (variables, *programs) in compiled.items():
            for program, elapsed in zip(programs, times[name], strict=True):
                begin = time.perf_counter()
                jax.block_until_ready(program(variables, *calls[name][1]))
                elapsed.append(1e3 * (time.perf_counter() - begin))
    costs = {}
    for name, (module, args) in calls.items():
        variables = compiled[name][0]
        forward, both = (float(np.median(elapsed[1:])) for elapsed in times[name])
        count = flops(functools.partial(_values, module), variables, *args)
        parameters = sum(x.size for x in jax.tree.leaves(variables.get("params", {})))
        costs[name] = Cost(parameters, count / batch, both, forward)
    return costs


def _values(module: nn.Module, variables: Any, *args: Any) -> jax.Array:
    return cast(Tokens, module.apply(variables, *args, train=False)).values


def _compiled(module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, Any, Any]:
    """(variables, forward pass, forward and backward pass)."""

    def loss(variables: Any, *args: Any) -> jax.Array:
        return jnp.sum(_values(module, variables, *args) ** 2)

    start = jax.jit(lambda *args: module.init(jax.random.key(0), *args, train=False))
    variables = start(*args)
    forward = jax.jit(functools.partial(_values, module)).lower(variables, *args).compile()
    # Also with respect to the inputs: a fusion passes the gradient on to the encoders.
    both = jax.jit(jax.grad(loss, argnums=tuple(range(1 + len(args))), allow_int=True))
    return variables, forward, both.lower(variables, *args).compile()
