"""Alignment of sequences: any number of tokens, at any rate, to a common number of steps.

Each module is `(values [batch token width], mask [batch token]) -> [batch step dim or width]`. An
example without tokens gives zeros. `Resample` reads the order of the tokens; the other modules read
only their values, in which the encoder may have put positions. The loss of `CtcAlign` assumes that
the order is kept.
"""

from typing import final

import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jaxtyping import Bool, Float

from mmjax.layers.alignment.ctc import ctc_path_loss, ctc_weights
from mmjax.layers.alignment.resampling import resample
from mmjax.layers.alignment.sinkhorn import sinkhorn
from mmjax.layers.attention.attention import MultiHeadAttention
from mmjax.layers.fields import require_at_least
from mmjax.layers.normalisation import l2_normalised
from mmjax.layers.tokens.masking import clear
from mmjax.layers.tracing.auxiliary import add_loss


@final
class Resample(nn.Module):
    """z_s = the tokens, interpolated at s / (steps - 1) of their length; see `resample`."""

    steps: int  # at least 1

    @nn.compact
    def __call__(
        self, values: Float[Array, "batch token width"], mask: Bool[Array, "batch token"]
    ) -> Float[Array, "batch step width"]:
        return resample(values, mask, self.steps)


@final
class AttentionAlign(nn.Module):
    """z_s = out(attend(q_s, k(x), v(x))), q_s learned. It assumes no order of the tokens.

    After Lee et al. 2019, arXiv:1810.00825 (PMA, k = steps).
    """

    steps: int  # at least 1
    dim: int  # width of the result
    heads: int = 4  # must divide dim

    @nn.compact
    def __call__(
        self, values: Float[Array, "batch token width"], mask: Bool[Array, "batch token"]
    ) -> Float[Array, "batch step dim"]:
        require_at_least(self, 1, "steps")
        query = self.param("query", nn.initializers.normal(1.0), (self.steps, self.dim))
        shape = (values.shape[0], self.steps, self.dim)
        query = jnp.broadcast_to(query[None].astype(values.dtype), shape)
        visible = jnp.broadcast_to(mask[:, None, :], (shape[0], self.steps, mask.shape[1]))
        attention = MultiHeadAttention(self.dim, self.heads, name="attention")
        return attention(query, clear(values, mask), visible)


@final
class CtcAlign(nn.Module):
    """z_s = sum_t p(s | t) x_t / sum_t p(s | t),  p(. | t) = softmax(W x_t + b) with a blank.

    Training adds the CTC loss of passing through all steps in order, for examples with at least as
    many tokens as steps. It teaches only the order; where each token belongs, the task teaches.
    """

    steps: int  # at least 1
    weight: float = 0.1  # of the auxiliary loss

    @nn.compact
    def __call__(
        self, values: Float[Array, "batch token width"], mask: Bool[Array, "batch token"]
    ) -> Float[Array, "batch step width"]:
        require_at_least(self, 1, "steps")
        values = clear(values, mask)
        logits = nn.Dense(self.steps + 1, name="logits")(values)
        loss, counted = ctc_path_loss(logits, mask)
        add_loss(self, "ctc", loss, counted, self.weight)
        weights = ctc_weights(logits, mask).astype(values.dtype)
        return jnp.einsum("bts,btd->bsd", weights, values)


@final
class SinkhornAlign(nn.Module):
    """z_s = steps * sum_t P_ts x_t,  P = sinkhorn(cos(x_t, prototype_s)).

    Optimal transport kernel embedding, Mialon et al. 2021, arXiv:2006.12065, scaled to a mean. Each
    learned prototype receives the same share of the tokens, so that none stays unused.
    """

    steps: int  # at least 2: a single prototype weighs all tokens alike and learns nothing
    temperature: float = 0.1  # of the transport, in units of cosines; greater than 0
    iterations: int = 20  # Sinkhorn updates, at least 1

    @nn.compact
    def __call__(
        self, values: Float[Array, "batch token width"], mask: Bool[Array, "batch token"]
    ) -> Float[Array, "batch step width"]:
        require_at_least(self, 2, "steps")
        values = clear(values, mask)
        shape = (self.steps, values.shape[-1])
        prototypes = self.param("prototypes", nn.initializers.normal(1.0), shape)
        prototypes = prototypes.astype(values.dtype)
        plan = sinkhorn(
            jnp.einsum("btd,sd->bts", l2_normalised(values), l2_normalised(prototypes)),
            mask,
            jnp.ones((values.shape[0], self.steps), bool),
            temperature=self.temperature,
            iterations=self.iterations,
        )
        return self.steps * jnp.einsum("bts,btd->bsd", plan, values)
