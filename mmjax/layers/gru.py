"""GRU, Cho et al. 2014, arXiv:1406.1078.

The reset comes after the product, as cuDNN and PyTorch have it.
"""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jaxtyping import Bool, Float

from mmjax.layers.recurrent import gate_parameters, initial_state, last_state


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

    zeros = initial_state(projected, recurrent_kernel)
    _, states = jax.lax.scan(step, zeros, (projected, mask.T), reverse=reverse, unroll=unroll)
    return jnp.swapaxes(states, 0, 1), last_state(states, reverse)


class GruLayer(nn.Module):
    """`gru` with its parameters."""

    dim: int  # width of the state
    reverse: bool = False  # read from the last token to the first
    unroll: int = 1  # tokens in one turn of the compiled loop

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch token width"], mask: Bool[Array, "batch token"]
    ) -> tuple[Float[Array, "batch token dim"], Float[Array, "batch dim"]]:
        kernels = gate_parameters(self, x.shape[-1], self.dim, gates=3)
        kernels["candidate_bias"] = self.param("candidate_bias", nn.initializers.zeros, (self.dim,))
        x = x.astype(kernels["bias"].dtype)
        return gru(x, mask, **kernels, reverse=self.reverse, unroll=self.unroll)
