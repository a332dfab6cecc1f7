"""What a fusion costs: parameters, floating-point operations, time."""

import time
from collections.abc import Mapping
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from mmjax.types import Tokens

ROUNDS = 15  # of all fusions in turn, so that a disturbance hits them alike
LENGTHS = {"a": 6, "b": 12}  # tokens of the modalities that are fused


class Cost(NamedTuple):
    """Of one fusion, for one width of its tokens."""

    parameters: int
    flops: float  # of a forward pass, per example, by the compiler's own count
    milliseconds: float  # median, of a forward and a backward pass over one batch


def measure_costs(
    fusions: Mapping[str, nn.Module],
    *,
    width: int,
    batch: int,
    lengths: Mapping[str, int] = LENGTHS,
) -> dict[str, Cost]:
    """Each fusion alone, compiled, on made-up tokens of which nothing is missing.

    Times are for comparison within one call: on shared cores they are noisy.
    """
    rng = np.random.default_rng(0)
    tokens = {
        name: Tokens(
            jnp.asarray(rng.normal(size=(batch, length, width)).astype(np.float32)),
            jnp.ones((batch, length), bool),
        )
        for name, length in lengths.items()
    }
    compiled = {name: _compiled(module, tokens) for name, module in fusions.items()}
    times: dict[str, list[float]] = {name: [] for name in fusions}
    for _ in range(ROUNDS):
        for name, (variables, _, both) in compiled.items():
            begin = time.perf_counter()
            jax.block_until_ready(both(variables, tokens))
            times[name].append(1e3 * (time.perf_counter() - begin))
    return {
        name: Cost(
            parameters=sum(x.size for x in jax.tree.leaves(variables.get("params", {}))),
            flops=flops / batch,
            milliseconds=float(np.median(times[name][1:])),
        )
        for name, (variables, flops, _) in compiled.items()
    }


def _compiled(module: nn.Module, tokens: Mapping[str, Tokens]) -> tuple[Any, float, Any]:
    """(variables, floating-point operations of a forward pass, forward and backward pass)."""

    def forward(variables: Any, tokens: Mapping[str, Tokens]) -> jax.Array:
        return cast(Tokens, module.apply(variables, tokens, train=False)).values

    def loss(variables: Any, tokens: Mapping[str, Tokens]) -> jax.Array:
        return jnp.sum(forward(variables, tokens) ** 2)

    start = jax.jit(lambda tokens: module.init(jax.random.key(0), tokens, train=False))
    variables = start(tokens)
    analysis = jax.jit(forward).lower(variables, tokens).compile().cost_analysis() or {}
    # To the tokens too: a fusion passes the gradient on to the encoders.
    both = jax.jit(jax.grad(loss, argnums=(0, 1), allow_int=True))
    return variables, float(analysis.get("flops", np.nan)), both.lower(variables, tokens).compile()
