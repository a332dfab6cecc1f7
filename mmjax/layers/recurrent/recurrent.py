"""Parts of LSTM and GRU: parameters, first and last states."""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jaxtyping import Float


def gate_parameters(layer: nn.Module, width: int, dim: int, gates: int) -> dict[str, Array]:
    """The parameters of all gates: LeCun normal for inputs, orthogonal per gate for states."""

    def orthogonal(key, shape):
        gate = nn.initializers.orthogonal()
        keys = jax.random.split(key, gates)
        return jnp.concatenate([gate(k, (shape[0], shape[0])) for k in keys], axis=1)

    parameters = {
        "input_kernel": (nn.initializers.lecun_normal(), (width, gates * dim)),
        "recurrent_kernel": (orthogonal, (dim, gates * dim)),
        "bias": (nn.initializers.zeros, (gates * dim,)),
    }
    return {name: jnp.asarray(layer.param(name, *how)) for name, how in parameters.items()}


def varying(*arrays: Array) -> list[Array]:
    """The same arrays; inside shard_map, all vary over each device axis that one varies over.

    There a hand-written gradient must vary over the same axes as its argument. Adding these zeros
    changes no value; its gradient sums over devices for an argument that is equal on all of them.
    """
    zeros = [jnp.zeros_like(x, shape=()) for x in arrays]
    return [x + jnp.asarray(sum(zeros)).astype(x.dtype) for x in arrays]


def initial_state(
    projected: Float[Array, "token batch gates"], recurrent_kernel: Float[Array, "dim gates"]
) -> Float[Array, "batch dim"]:
    """Zeros, made from an input so that inside shard_map they vary over devices as it does."""
    return jnp.zeros_like(projected, shape=(projected.shape[1], recurrent_kernel.shape[0]))


def states_before(states: Float[Array, "token batch dim"], reverse: bool) -> Array:
    """The state before each token; zeros before the first."""
    zeros = jnp.zeros_like(states[:1])
    return jnp.concatenate([states[1:], zeros] if reverse else [zeros, states[:-1]])


def last_state(states: Float[Array, "token batch dim"], reverse: bool) -> Float[Array, "batch dim"]:
    """The state after the last token in reading order."""
    if states.shape[0] == 0:
        return jnp.zeros_like(states, shape=states.shape[1:])
    return states[0 if reverse else -1]
