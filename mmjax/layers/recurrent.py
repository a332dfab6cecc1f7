"""Long short-term memory, Hochreiter & Schmidhuber 1997, doi:10.1162/neco.1997.9.8.1735."""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jaxtyping import Bool, Float


def lstm(
    x: Float[Array, "batch token width"],
    mask: Bool[Array, "batch token"],
    *,
    input_kernel: Float[Array, "width gates"],
    recurrent_kernel: Float[Array, "dim gates"],
    bias: Float[Array, "gates"],
    reverse: bool = False,
) -> tuple[Float[Array, "batch token dim"], Float[Array, "batch dim"]]:
    """i, f, g, o = x_t W + h U + b;  c' = s(f) c + s(i) tanh(g);  h' = s(o) tanh(c').

    Where the mask is False the state stays as it was, so padding may stand anywhere, and a sequence
    of length 0 ends in the initial state, zeros. `gates` is 4 * dim, in the order i, f, g, o.

    Returns:
        the state h after every token (held over padding), and after the last one that was read.
    """
    batch, dim = x.shape[0], recurrent_kernel.shape[0]
    # The product with the input does not depend on the state: one large product outside the scan.
    projected = jnp.einsum("btw,wg->tbg", x, input_kernel) + bias[None, None, :]

    def step(carry, inputs):
        state, cell = carry
        gates, valid = inputs
        i, f, g, o = jnp.split(gates + state @ recurrent_kernel, 4, axis=-1)
        new_cell = nn.sigmoid(f) * cell + nn.sigmoid(i) * nn.tanh(g)
        new_state = nn.sigmoid(o) * nn.tanh(new_cell)
        state = jnp.where(valid[:, None], new_state, state)
        cell = jnp.where(valid[:, None], new_cell, cell)
        return (state, cell), state

    # zeros_like of an input, not zeros: inside shard_map the carry must vary over devices as x.
    zeros = jnp.zeros_like(projected, shape=(batch, dim))
    (last, _), states = jax.lax.scan(step, (zeros, zeros), (projected, mask.T), reverse=reverse)
    return jnp.swapaxes(states, 0, 1), last


class LstmLayer(nn.Module):
    """`lstm` with its parameters: LeCun normal for the input, orthogonal per gate for the state."""

    dim: int  # width of the state
    reverse: bool = False  # read from the last token to the first

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch token width"], mask: Bool[Array, "batch token"]
    ) -> tuple[Float[Array, "batch token dim"], Float[Array, "batch dim"]]:
        def orthogonal_gates(key, shape):
            gate = nn.initializers.orthogonal()
            keys = jax.random.split(key, 4)
            return jnp.concatenate([gate(k, (shape[0], shape[0])) for k in keys], axis=1)

        def param(name, init, shape) -> Array:
            return jnp.asarray(self.param(name, init, shape), x.dtype)

        width, gates = x.shape[-1], 4 * self.dim
        return lstm(
            x,
            mask,
            input_kernel=param("input_kernel", nn.initializers.lecun_normal(), (width, gates)),
            recurrent_kernel=param("recurrent_kernel", orthogonal_gates, (self.dim, gates)),
            bias=param("bias", nn.initializers.zeros, (gates,)),
            reverse=self.reverse,
        )
