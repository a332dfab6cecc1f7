"""Recurrent layers whose state skips what the mask hides.

LSTM: Hochreiter & Schmidhuber 1997, doi:10.1162/neco.1997.9.8.1735. GRU: Cho et al. 2014,
arXiv:1406.1078, with the reset after the product, as cuDNN and PyTorch have it.
"""

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


def gru(
    x: Float[Array, "batch token width"],
    mask: Bool[Array, "batch token"],
    *,
    input_kernel: Float[Array, "width gates"],
    recurrent_kernel: Float[Array, "dim gates"],
    bias: Float[Array, "gates"],
    candidate_bias: Float[Array, "dim"],
    reverse: bool = False,
) -> tuple[Float[Array, "batch token dim"], Float[Array, "batch dim"]]:
    """r, z, n = x_t W + b;  u, v, w = h U;  y = s(z + v);  h' = (1 - y) tanh(...) + y h.

    The candidate state is tanh(n + s(r + u) (w + c)).
    `candidate_bias` is c; `gates` is 3 * dim, in the order reset, update, candidate. Masks and what
    is returned: as for `lstm`.
    """
    batch, dim = x.shape[0], recurrent_kernel.shape[0]
    projected = jnp.einsum("btw,wg->tbg", x, input_kernel) + bias[None, None, :]

    def step(state, inputs):
        gates, valid = inputs
        r, z, n = jnp.split(gates, 3, axis=-1)
        u, v, w = jnp.split(state @ recurrent_kernel, 3, axis=-1)
        update = nn.sigmoid(z + v)
        candidate = nn.tanh(n + nn.sigmoid(r + u) * (w + candidate_bias[None]))
        state = jnp.where(valid[:, None], (1 - update) * candidate + update * state, state)
        return state, state

    zeros = jnp.zeros_like(projected, shape=(batch, dim))
    last, states = jax.lax.scan(step, zeros, (projected, mask.T), reverse=reverse)
    return jnp.swapaxes(states, 0, 1), last


class LstmLayer(nn.Module):
    """`lstm` with its parameters."""

    dim: int  # width of the state
    reverse: bool = False  # read from the last token to the first

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch token width"], mask: Bool[Array, "batch token"]
    ) -> tuple[Float[Array, "batch token dim"], Float[Array, "batch dim"]]:
        kernels = _kernels(self, x, gates=4)
        return lstm(x.astype(kernels["bias"].dtype), mask, **kernels, reverse=self.reverse)


class GruLayer(nn.Module):
    """`gru` with its parameters."""

    dim: int  # width of the state
    reverse: bool = False  # read from the last token to the first

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch token width"], mask: Bool[Array, "batch token"]
    ) -> tuple[Float[Array, "batch token dim"], Float[Array, "batch dim"]]:
        kernels = _kernels(self, x, gates=3)
        kernels["candidate_bias"] = self.param("candidate_bias", nn.initializers.zeros, (self.dim,))
        return gru(x.astype(kernels["bias"].dtype), mask, **kernels, reverse=self.reverse)


def _kernels(layer: LstmLayer | GruLayer, x: Array, gates: int) -> dict[str, Array]:
    """The parameters of all gates: LeCun normal for the input, orthogonal by gate for the state."""

    def orthogonal(key, shape):
        gate = nn.initializers.orthogonal()
        keys = jax.random.split(key, gates)
        return jnp.concatenate([gate(k, (shape[0], shape[0])) for k in keys], axis=1)

    width = gates * layer.dim
    found = {
        "input_kernel": (nn.initializers.lecun_normal(), (x.shape[-1], width)),
        "recurrent_kernel": (orthogonal, (layer.dim, width)),
        "bias": (nn.initializers.zeros, (width,)),
    }
    return {name: jnp.asarray(layer.param(name, *how)) for name, how in found.items()}
