"""Recurrent layers whose state skips what the mask hides.

LSTM: Hochreiter & Schmidhuber 1997, doi:10.1162/neco.1997.9.8.1735. GRU: Cho et al. 2014,
arXiv:1406.1078, with the reset after the product, as cuDNN and PyTorch have it.
"""

import functools

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
    unroll: int = 1,
) -> tuple[Float[Array, "batch token dim"], Float[Array, "batch dim"]]:
    """i, f, g, o = x_t W + h U + b;  c' = s(f) c + s(i) tanh(g);  h' = s(o) tanh(c').

    Where the mask is False the state stays as it was, so padding may stand anywhere, and a sequence
    of length 0 ends in the initial state, zeros. `gates` is 4 * dim, in the order i, f, g, o.
    `unroll` tokens are one turn of the compiled loop: the same result, other costs.

    Returns:
        the state h after every token (held over padding), and after the last one that was read.
    """
    # Tokens first, and before the product: then the loop reads it in place, and only the input,
    # several times smaller, is turned round in memory.
    tokens = jnp.swapaxes(x, 0, 1)
    tokens, *weights = _varying(tokens, input_kernel, recurrent_kernel, bias)
    states = jnp.asarray(_lstm(reverse, unroll, tokens, mask.T, *weights))
    return jnp.swapaxes(states, 0, 1), _last(states, reverse)


def gru(
    x: Float[Array, "batch token width"],
    mask: Bool[Array, "batch token"],
    *,
    input_kernel: Float[Array, "width gates"],
    recurrent_kernel: Float[Array, "dim gates"],
    bias: Float[Array, "gates"],
    candidate_bias: Float[Array, "dim"],
    reverse: bool = False,
    unroll: int = 1,
) -> tuple[Float[Array, "batch token dim"], Float[Array, "batch dim"]]:
    """r, z, n = x_t W + b;  u, v, w = h U;  y = s(z + v);  h' = (1 - y) tanh(...) + y h.

    The candidate state is tanh(n + s(r + u) (w + c)).
    `candidate_bias` is c; `gates` is 3 * dim, in the order reset, update, candidate. Masks,
    `unroll` and what is returned: as for `lstm`.
    """
    projected = jnp.einsum("tbw,wg->tbg", jnp.swapaxes(x, 0, 1), input_kernel)

    def step(state, inputs):
        gates, valid = inputs
        r, z, n = jnp.split(gates + bias[None], 3, axis=-1)
        u, v, w = jnp.split(state @ recurrent_kernel, 3, axis=-1)
        update = nn.sigmoid(z + v)
        candidate = nn.tanh(n + nn.sigmoid(r + u) * (w + candidate_bias[None]))
        state = jnp.where(valid[:, None], (1 - update) * candidate + update * state, state)
        return state, state

    zeros = _zeros(projected, recurrent_kernel)
    _, states = jax.lax.scan(step, zeros, (projected, mask.T), reverse=reverse, unroll=unroll)
    return jnp.swapaxes(states, 0, 1), _last(states, reverse)


def _varying(*arrays: Array) -> list[Array]:
    """The same arrays; inside shard_map all vary over every device that one of them varies over.

    There a gradient written by hand must be of its argument's kind. What these sums add is nothing,
    but their gradient is the sum over devices that an argument equal on all of them has.
    """
    zeros = [jnp.zeros_like(x, shape=()) for x in arrays]
    return [x + jnp.asarray(sum(zeros)).astype(x.dtype) for x in arrays]


def _zeros(projected: Array, recurrent_kernel: Array) -> Array:
    """The first state. Of an input: inside shard_map it must vary over devices as that does."""
    return jnp.zeros_like(projected, shape=(projected.shape[1], recurrent_kernel.shape[0]))


def _last(states: Array, reverse: bool) -> Array:
    """The state after the last token that was read."""
    if not len(states):
        return jnp.zeros_like(states, shape=states.shape[1:])
    return states[0 if reverse else -1]


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _lstm(
    reverse: bool, unroll: int, x: Array, mask: Array, kernel: Array, recurrent: Array, bias: Array
) -> Array:
    """The states [token, batch, dim] of an input [token, batch, width]."""
    return _forward(reverse, unroll, x, mask, kernel, recurrent, bias)[0]


def _forward(reverse, unroll, x, mask, kernel, recurrent, bias):
    """The states, and what the gradient is computed from."""
    scaled, scaled_bias = recurrent * _halves(recurrent), bias * _halves(bias)
    # The product with the input does not depend on the state: one large product outside the scan.
    projected = jnp.einsum("tbw,wg->tbg", x, kernel * _halves(kernel))

    def step(carry, inputs):
        state, cell = carry
        gates, valid = inputs
        i, f, g, o = _activated(gates + state @ scaled + scaled_bias[None])
        new_cell = f * cell + i * g
        state = jnp.where(valid[:, None], o * nn.tanh(new_cell), state)
        cell = jnp.where(valid[:, None], new_cell, cell)
        return (state, cell), (state, cell)

    zeros = _zeros(projected, recurrent)
    _, (states, cells) = jax.lax.scan(
        step, (zeros, zeros), (projected, mask), reverse=reverse, unroll=unroll
    )
    return states, (x, mask, kernel, recurrent, bias, projected, states, cells)


def _backward(reverse, unroll, kept, given):
    """The gradients, those of kernels as one product each over all tokens, after the scan.

    The four gates stay apart: joining them in every step costs more than three more products.
    Their values are computed again, which costs less than fresh memory to keep them in.
    """
    x, mask, kernel, recurrent, bias, projected, states, cells = kept
    scaled, scaled_bias = recurrent * _halves(recurrent), bias * _halves(bias)
    back = [part.T for part in jnp.split(recurrent, 4, axis=1)]
    states, old_cells = _before(states, reverse), _before(cells, reverse)

    def step(carry, inputs):
        d_state, d_cell = carry
        given, gates, state, old_cell, cell, valid = inputs
        i, f, g, o = _activated(gates + state @ scaled + scaled_bias[None])
        valid, bent = valid[:, None], nn.tanh(cell)
        d_state = d_state + given
        read = jnp.where(valid, d_state, jnp.zeros_like(d_state))
        through = jnp.where(valid, d_cell + read * o * (1 - bent * bent), jnp.zeros_like(d_cell))
        gradients = (
            through * g * i * (1 - i),
            through * old_cell * f * (1 - f),
            through * i * (1 - g * g),
            read * bent * o * (1 - o),
        )
        passed = sum(gradient @ part for gradient, part in zip(gradients, back, strict=True))
        held = jnp.where(valid, jnp.zeros_like(d_state), d_state)
        return (passed + held, jnp.where(valid, through * f, d_cell)), gradients

    zeros = _zeros(projected, recurrent)
    inputs = (given, projected, states, old_cells, cells, mask)
    _, gates = jax.lax.scan(step, (zeros, zeros), inputs, reverse=not reverse, unroll=unroll)
    kernels = jnp.split(kernel, 4, axis=1)
    d_x = sum(jnp.einsum("tbd,wd->tbw", *pair) for pair in zip(gates, kernels, strict=True))
    d_kernel, d_recurrent = (
        jnp.concatenate([jnp.einsum("tbw,tbd->wd", read, gate) for gate in gates], axis=1)
        for read in (x, states)
    )
    return d_x, None, d_kernel, d_recurrent, jnp.concatenate([jnp.sum(g, (0, 1)) for g in gates])


_lstm.defvjp(_forward, _backward)


def _halves(weights: Array) -> Array:
    """1/2 for the gates i, f and o, and 1 for g: a factor that is exact."""
    gate = jnp.arange(weights.shape[-1]) * 4 // weights.shape[-1]
    scale = jnp.where(gate == 2, 1.0, 0.5).astype(weights.dtype)
    return jnp.reshape(scale, (1,) * (weights.ndim - 1) + (-1,))


def _activated(gates: Array) -> tuple[Array, Array, Array, Array]:
    """s(2 i), s(2 f), tanh(g), s(2 o) as one tanh: s(2 x) = (tanh(x) + 1) / 2."""
    i, f, g, o = jnp.split(nn.tanh(gates), 4, axis=-1)
    return 0.5 * i + 0.5, 0.5 * f + 0.5, g, 0.5 * o + 0.5


def _before(states: Array, reverse: bool) -> Array:
    """The states that each token found, zeros the first."""
    zeros = jnp.zeros_like(states[:1])
    return jnp.concatenate([states[1:], zeros] if reverse else [zeros, states[:-1]])


class LstmLayer(nn.Module):
    """`lstm` with its parameters."""

    dim: int  # width of the state
    reverse: bool = False  # read from the last token to the first
    unroll: int = 1  # tokens in one turn of the compiled loop

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch token width"], mask: Bool[Array, "batch token"]
    ) -> tuple[Float[Array, "batch token dim"], Float[Array, "batch dim"]]:
        kernels = _kernels(self, x, gates=4)
        x = x.astype(kernels["bias"].dtype)
        return lstm(x, mask, **kernels, reverse=self.reverse, unroll=self.unroll)


class GruLayer(nn.Module):
    """`gru` with its parameters."""

    dim: int  # width of the state
    reverse: bool = False  # read from the last token to the first
    unroll: int = 1  # tokens in one turn of the compiled loop

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch token width"], mask: Bool[Array, "batch token"]
    ) -> tuple[Float[Array, "batch token dim"], Float[Array, "batch dim"]]:
        kernels = _kernels(self, x, gates=3)
        kernels["candidate_bias"] = self.param("candidate_bias", nn.initializers.zeros, (self.dim,))
        x = x.astype(kernels["bias"].dtype)
        return gru(x, mask, **kernels, reverse=self.reverse, unroll=self.unroll)


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
