"""LSTM, Hochreiter & Schmidhuber 1997, doi:10.1162/neco.1997.9.8.1735."""

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jaxtyping import Bool, Float

from mmjax.layers.recurrent.recurrent import (
    gate_parameters,
    initial_state,
    last_state,
    states_before,
    varying,
)
from mmjax.layers.recurrent.streaming import carried, require_causal, streaming
from mmjax.layers.tracing.forward_mode import in_either_mode


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

    A masked token leaves the state unchanged, so padding may be anywhere; a sequence of no tokens
    ends in the initial state, zeros. `gates` is 4 * dim, in the order i, f, g, o. `unroll` is the
    number of tokens in one iteration of the compiled loop; it changes the speed, not the result.

    Returns:
        the state h after each token, and the state after the last token.
    """
    # Transpose the input, not its product with the kernel, which is several times larger.
    tokens = jnp.swapaxes(x, 0, 1)
    tokens, *weights = varying(tokens, input_kernel, recurrent_kernel, bias)
    states = in_either_mode(_lstm, reverse, unroll, tokens, mask.T, *weights)
    return jnp.swapaxes(states, 0, 1), last_state(states, reverse)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _lstm(
    reverse: bool, unroll: int, x: Array, mask: Array, kernel: Array, recurrent: Array, bias: Array
) -> Array:
    """The states [token, batch, dim] of an input [token, batch, width]."""
    return _forward(reverse, unroll, x, mask, kernel, recurrent, bias)[0]


def _forward(reverse, unroll, x, mask, kernel, recurrent, bias, start=None):
    """The states, and the residuals for the backward pass; `start`: by default zeros."""
    scaled, scaled_bias = recurrent * _halves(recurrent), bias * _halves(bias)
    # The product with the input does not depend on the state: one large product outside the scan.
    projected = jnp.einsum("tbw,wg->tbg", x, kernel * _halves(kernel))

    def step(carry, inputs):
        state, cell = carry
        gates, valid = inputs
        bent = nn.tanh(gates + state @ scaled + scaled_bias[None])
        i, f, g, o = _values(bent)
        new_cell = f * cell + i * g
        state = jnp.where(valid[:, None], o * nn.tanh(new_cell), state)
        cell = jnp.where(valid[:, None], new_cell, cell)
        return (state, cell), (state, cell, bent)

    zeros = initial_state(projected, recurrent)
    start = (zeros, zeros) if start is None else start
    _, (states, cells, bent) = jax.lax.scan(
        step, start, (projected, mask), reverse=reverse, unroll=unroll
    )
    return states, (x, mask, kernel, recurrent, bias, projected, bent, states, cells)


def _backward(reverse, unroll, kept, given):
    """The gradients. Those of the kernels are one product each over all tokens, after the scan.

    The values of the gates are computed again: with stored ones 400 words take 1.19 times the time
    on CPUs, and 1.06 times on TPUs by their compiler's estimate. A GPU, which starts fewer kernels
    so (12 instead of 15 a word), reads what the forward pass stored. XLA removes what is not read.
    """
    x, mask, kernel, recurrent, bias, projected, bent, states, cells = kept
    scaled, scaled_bias = recurrent * _halves(recurrent), bias * _halves(bias)
    states, old_cells = states_before(states, reverse), states_before(cells, reverse)

    def step(carry, inputs):
        d_state, d_cell = carry
        given, gates, stored, state, old_cell, cell, valid = inputs
        i, f, g, o = _values(
            jax.lax.platform_dependent(
                cuda=lambda: stored,
                default=lambda: nn.tanh(gates + state @ scaled + scaled_bias[None]),
            )
        )
        valid, bent = valid[:, None], nn.tanh(cell)
        d_state = d_state + given
        read = jnp.where(valid, d_state, jnp.zeros_like(d_state))
        through = jnp.where(valid, d_cell + read * o * (1 - bent * bent), jnp.zeros_like(d_cell))
        d_gates = jnp.concatenate(
            [
                through * g * i * (1 - i),
                through * old_cell * f * (1 - f),
                through * i * (1 - g * g),
                read * bent * o * (1 - o),
            ],
            axis=1,
        )
        passed = d_gates @ recurrent.T
        held = jnp.where(valid, jnp.zeros_like(d_state), d_state)
        return (passed + held, jnp.where(valid, through * f, d_cell)), d_gates

    zeros = initial_state(projected, recurrent)
    inputs = (given, projected, bent, states, old_cells, cells, mask)
    _, d_gates = jax.lax.scan(step, (zeros, zeros), inputs, reverse=not reverse, unroll=unroll)
    d_x = d_gates @ kernel.T
    d_kernel, d_recurrent = (jnp.einsum("tbw,tbg->wg", read, d_gates) for read in (x, states))
    return d_x, None, d_kernel, d_recurrent, jnp.sum(d_gates, axis=(0, 1))


_lstm.defvjp(_forward, _backward)


def _halves(weights: Array) -> Array:
    """1/2 for the gates i, f and o, and 1 for g: a factor that is exact."""
    gate = jnp.arange(weights.shape[-1]) * 4 // weights.shape[-1]
    scale = jnp.where(gate == 2, 1.0, 0.5).astype(weights.dtype)
    return jnp.reshape(scale, (1,) * (weights.ndim - 1) + (-1,))


def _values(bent: Array) -> tuple[Array, Array, Array, Array]:
    """s(2 i), s(2 f), tanh(g), s(2 o) from the tanh of all four: s(2 x) = (tanh(x) + 1) / 2."""
    i, f, g, o = jnp.split(bent, 4, axis=-1)
    return 0.5 * i + 0.5, 0.5 * f + 0.5, g, 0.5 * o + 0.5


class LstmLayer(nn.Module):
    """`lstm` with its parameters."""

    dim: int  # width of the state
    reverse: bool = False  # read from the last token to the first
    unroll: int = 1  # tokens in one iteration of the compiled loop

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch token width"], mask: Bool[Array, "batch token"]
    ) -> tuple[Float[Array, "batch token dim"], Float[Array, "batch dim"]]:
        kernels = gate_parameters(self, x.shape[-1], self.dim, gates=4)
        x = x.astype(kernels["bias"].dtype)
        if streaming(self):
            return self._continued(x, mask, **kernels)
        return lstm(x, mask, **kernels, reverse=self.reverse, unroll=self.unroll)

    def _continued(
        self, x: Array, mask: Array, *, input_kernel, recurrent_kernel, bias
    ) -> tuple[Array, Array]:
        """The results of `lstm` from the state that the samples before left; without a gradient."""
        require_causal(self.reverse)
        zeros = jnp.zeros_like(x, shape=(x.shape[0], self.dim))
        state, cell = carried(self, "state", zeros), carried(self, "cell", zeros)
        given = (jnp.swapaxes(x, 0, 1), mask.T, input_kernel, recurrent_kernel, bias)
        states, (*_, cells) = _forward(False, self.unroll, *given, start=(state.value, cell.value))
        state.value, cell.value = states[-1], cells[-1]
        return jnp.swapaxes(states, 0, 1), states[-1]
