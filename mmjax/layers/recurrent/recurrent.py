"""What recurrent layers share: parameters, ends of the sequence, and a gradient by hand."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jaxtyping import Float


def gate_parameters(layer: nn.Module, width: int, dim: int, gates: int) -> dict[str, Array]:
    """The parameters of all gates: LeCun normal for the input, orthogonal by gate for the state."""

    def orthogonal(key, shape):
        gate = nn.initializers.orthogonal()
        keys = jax.random.split(key, gates)
        return jnp.concatenate([gate(k, (shape[0], shape[0])) for k in keys], axis=1)

    found = {
        "input_kernel": (nn.initializers.lecun_normal(), (width, gates * dim)),
        "recurrent_kernel": (orthogonal, (dim, gates * dim)),
        "bias": (nn.initializers.zeros, (gates * dim,)),
    }
    return {name: jnp.asarray(layer.param(name, *how)) for name, how in found.items()}


def varying(*arrays: Array) -> list[Array]:
    """The same arrays; inside shard_map all vary over every device that one of them varies over.

    There a gradient written by hand must be of its argument's kind. What these sums add is nothing,
    but their gradient is the sum over devices that an argument equal on all of them has.
    """
    zeros = [jnp.zeros_like(x, shape=()) for x in arrays]
    return [x + jnp.asarray(sum(zeros)).astype(x.dtype) for x in arrays]


def initial_state(
    projected: Float[Array, "token batch gates"], recurrent_kernel: Float[Array, "dim gates"]
) -> Float[Array, "batch dim"]:
    """The first state. Of an input: inside shard_map it must vary over devices as that does."""
    return jnp.zeros_like(projected, shape=(projected.shape[1], recurrent_kernel.shape[0]))


def states_before(states: Float[Array, "token batch dim"], reverse: bool) -> Array:
    """The states that each token found, zeros the first."""
    zeros = jnp.zeros_like(states[:1])
    return jnp.concatenate([states[1:], zeros] if reverse else [zeros, states[:-1]])


def last_state(states: Float[Array, "token batch dim"], reverse: bool) -> Float[Array, "batch dim"]:
    """The state after the last token that was read."""
    if states.shape[0] == 0:
        return jnp.zeros_like(states, shape=states.shape[1:])
    return states[0 if reverse else -1]


def input_gradient(
    gates: Sequence[Float[Array, "token batch dim"]], kernel: Float[Array, "width gates"]
) -> Float[Array, "token batch width"]:
    """Of the gates' gradients: that of what the kernel was multiplied with."""
    parts = jnp.split(kernel, len(gates), axis=1)
    products = (jnp.einsum("tbd,wd->tbw", *pair) for pair in zip(gates, parts, strict=True))
    return jnp.asarray(sum(products))


def kernel_gradient(
    gates: Sequence[Float[Array, "token batch dim"]], read: Float[Array, "token batch width"]
) -> Float[Array, "width gates"]:
    """Of the gates' gradients: that of a kernel which was multiplied with what was read."""
    return jnp.concatenate([jnp.einsum("tbw,tbd->wd", read, gate) for gate in gates], axis=1)


def bias_gradient(gates: Sequence[Float[Array, "token batch dim"]]) -> Float[Array, "gates"]:
    """Of the gates' gradients: that of the bias added to them."""
    return jnp.concatenate([jnp.sum(gate, axis=(0, 1)) for gate in gates])
