"""Connectionist temporal classification, Graves et al. 2006, doi:10.1145/1143844.1143891.

Used to align modalities without word-level alignment in Tsai et al. 2019 (MulT), arXiv:1906.00295:
a token predicts which of the common positions 1..steps it belongs to, or none (blank, class 0).
"""

import jax
import jax.numpy as jnp
import optax
from jax import Array
from jaxtyping import Bool, Float

from mmjax.layers.tokens.masking import clear


def ctc_weights(
    logits: Float[Array, "batch token position"], mask: Bool[Array, "batch token"]
) -> Float[Array, "batch token position-1"]:
    """w_ts = p(s | t) / sum_t' p(s | t'): the share of each token in each step.

    The shares of a step sum to 1 over the unmasked tokens; those of masked tokens are zero. It is
    a softmax over tokens of log p, which is finite for a step that no token predicts.
    """
    log_p = jax.nn.log_softmax(logits, axis=-1)[:, :, 1:]
    hidden = jnp.full_like(log_p, jnp.finfo(log_p.dtype).min)
    return clear(jax.nn.softmax(jnp.where(mask[:, :, None], log_p, hidden), axis=1), mask)


def ctc_path_loss(
    logits: Float[Array, "batch token position"], mask: Bool[Array, "batch token"]
) -> tuple[Float[Array, "batch"], Bool[Array, "batch"]]:
    """-log p(the tokens pass through the positions 1, 2, ..., steps in this order).

    The probability is summed over all paths with blanks and repetitions.

    Returns:
        the loss, and the examples that count. With fewer tokens than steps there is no path: the
        loss is 0 and the example does not count.
    """
    (batch, token, position), steps = logits.shape, logits.shape[2] - 1
    counted = jnp.sum(mask, axis=1) >= steps
    if token < steps or token == 0:
        return jnp.zeros((batch,), jnp.float32), jnp.zeros((batch,), bool)
    labels = jnp.broadcast_to(jnp.arange(1, position), (batch, steps))
    loss = optax.ctc_loss(
        clear(logits, mask).astype(jnp.float32),
        # Over padding optax keeps its state, so padding may be anywhere.
        logit_paddings=(~mask).astype(jnp.float32),
        labels=labels,
        label_paddings=jnp.zeros((batch, steps), jnp.float32),
    )
    return clear(loss, counted), counted
