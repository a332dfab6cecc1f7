"""GRU, Cho et al. 2014, arXiv:1406.1078.

The reset comes after the product, as cuDNN and PyTorch have it.
"""

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

    The candidate state is tanh(n + s(r + u) (w + c)). `candidate_bias` is c; `gates` is 3 * dim, in
    the order reset, update, candidate. Masks, `unroll` and results are those of `lstm`.
    """
    tokens = jnp.swapaxes(x, 0, 1)
    tokens, *weights = varying(tokens, input_kernel, recurrent_kernel, bias, candidate_bias)
    states = in_either_mode(_gru, reverse, unroll, tokens, mask.T, *weights)
    return jnp.swapaxes(states, 0, 1), last_state(states, reverse)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _gru(
    reverse: bool,
    unroll: int,
    x: Array,
    mask: Array,
    kernel: Array,
    recurrent: Array,
    bias: Array,
    candidate_bias: Array,
) -> Array:
    """The states [token, batch, dim] of an input [token, batch, width]."""
    return _forward(reverse, unroll, x, mask, kernel, recurrent, bias, candidate_bias)[0]


def _forward(reverse, unroll, x, mask, kernel, recurrent, bias, candidate_bias, start=None):
    """The states, and the residuals for the backward pass; `start`: by default zeros."""
    # The product with the input does not depend on the state: one large product outside the scan.
    projected = jnp.einsum("tbw,wg->tbg", x, kernel)

    def step(state, inputs):
        gates, valid = inputs
        r, z, n = jnp.split(gates + bias[None], 3, axis=-1)
        u, v, w = jnp.split(state @ recurrent, 3, axis=-1)
        reset, update, product = nn.sigmoid(r + u), nn.sigmoid(z + v), w + candidate_bias[None]
        candidate = nn.tanh(n + reset * product)
        state = jnp.where(valid[:, None], (1 - update) * candidate + update * state, state)
        return state, (state, (reset, update, candidate, product))

    start = initial_state(projected, recurrent) if start is None else start
    _, (states, gates) = jax.lax.scan(
        step, start, (projected, mask), reverse=reverse, unroll=unroll
    )
    return states, (x, mask, kernel, recurrent, states, gates)


def _backward(reverse, unroll, kept, given):
    """The gradients. Those of the kernels are one product each over all tokens, after the scan.

    The gates are kept: on CPUs, computing them again took half as long again (not so for LSTM).
    """
    x, mask, kernel, recurrent, states, gates = kept
    states = states_before(states, reverse)

    def step(d_state, inputs):
        given, (reset, update, candidate, product), state, valid = inputs
        valid, d_state = valid[:, None], d_state + given
        read = jnp.where(valid, d_state, jnp.zeros_like(d_state))
        d_candidate = read * (1 - update) * (1 - candidate * candidate)
        d_update = read * (state - candidate) * update * (1 - update)
        d_reset = d_candidate * product * reset * (1 - reset)
        d_product = jnp.concatenate([d_reset, d_update, d_candidate * reset], axis=1)
        held = jnp.where(valid, read * update, d_state)
        return d_product @ recurrent.T + held, (d_product, d_candidate)

    zeros = jnp.zeros_like(states, shape=states.shape[1:])
    inputs = (given, gates, states, mask)
    _, (from_state, d_candidate) = jax.lax.scan(
        step, zeros, inputs, reverse=not reverse, unroll=unroll
    )
    others, d_product = jnp.split(from_state, [2 * recurrent.shape[0]], axis=2)
    from_input = jnp.concatenate([others, d_candidate], axis=2)
    return (
        from_input @ kernel.T,
        None,
        jnp.einsum("tbw,tbg->wg", x, from_input),
        jnp.einsum("tbw,tbg->wg", states, from_state),
        jnp.sum(from_input, axis=(0, 1)),
        jnp.sum(d_product, axis=(0, 1)),
    )


_gru.defvjp(_forward, _backward)


class GruLayer(nn.Module):
    """`gru` with its parameters."""

    dim: int  # width of the state
    reverse: bool = False  # read from the last token to the first
    unroll: int = 1  # tokens in one iteration of the compiled loop

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch token width"], mask: Bool[Array, "batch token"]
    ) -> tuple[Float[Array, "batch token dim"], Float[Array, "batch dim"]]:
        kernels = gate_parameters(self, x.shape[-1], self.dim, gates=3)
        candidate_bias = self.param("candidate_bias", nn.initializers.zeros, (self.dim,))
        kernels["candidate_bias"] = jnp.asarray(candidate_bias)
        x = x.astype(kernels["bias"].dtype)
        if streaming(self):
            return self._continued(x, mask, **kernels)
        return gru(x, mask, **kernels, reverse=self.reverse, unroll=self.unroll)

    def _continued(
        self, x: Array, mask: Array, *, input_kernel, recurrent_kernel, bias, candidate_bias
    ) -> tuple[Array, Array]:
        """The results of `gru` from the state that the samples before left; without a gradient."""
        require_causal(self.reverse)
        state = carried(self, "state", jnp.zeros_like(x, shape=(x.shape[0], self.dim)))
        weights = (input_kernel, recurrent_kernel, bias, candidate_bias)
        given = (jnp.swapaxes(x, 0, 1), mask.T, *weights)
        states, _ = _forward(False, self.unroll, *given, start=state.value)
        state.value = states[-1]
        return jnp.swapaxes(states, 0, 1), states[-1]
