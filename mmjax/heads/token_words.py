"""A word or nothing for each token, for connectionist temporal classification.

Graves et al. 2006, doi:10.1145/1143844.1143891.
"""

from typing import final

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jaxtyping import Bool, Float, Int

from mmjax.layers.mlp import Mlp
from mmjax.layers.tokens.masking import clear
from mmjax.types import Tokens


@final
class TokenWords(nn.Module):
    """logits_i = mlp(token_i) over the vocabulary; word 0 is the blank.

    The text is that of the best path: the most probable word of each token, equal neighbours once,
    blanks left out. The order of the tokens matters, so the fusion must keep it.
    """

    vocabulary_size: int = 1000  # words have the numbers 0 to vocabulary_size - 1
    hidden: tuple[int, ...] = ()  # widths of the hidden ReLU layers; (): one linear layer
    dropout: float = 0.0  # share of hidden units dropped in training

    @nn.compact
    def __call__(self, tokens: Tokens, train: bool) -> dict[str, Array]:
        """ "logits" `[batch, token, vocabulary]` and "mask" `[batch, token]`; in evaluation "words"
        `[batch, 1, token]`, 0 after the end, and "log_probability" of the path, `[batch, 1]`."""
        mlp = Mlp(hidden=self.hidden, dim=self.vocabulary_size, dropout=self.dropout)
        logits = mlp(clear(tokens.values, tokens.mask), train=train)
        outputs = {"logits": logits, "mask": tokens.mask}
        if not train:
            words, log_p = best_path(logits, tokens.mask)
            outputs |= {"words": words[:, None], "log_probability": log_p[:, None]}
        return outputs


def best_path(
    logits: Float[Array, "batch token vocabulary"], mask: Bool[Array, "batch token"]
) -> tuple[Int[Array, "batch token"], Float[Array, "batch"]]:
    """The words of the most probable path, moved to the front, and its log-probability."""
    log_p = jax.nn.log_softmax(logits.astype(jnp.float32), axis=-1)
    path = clear(jnp.argmax(log_p, axis=-1).astype(jnp.int32), mask)
    before = jnp.pad(path[:, :-1], ((0, 0), (1, 0)))
    kept = (path != 0) & (path != before)
    place = jnp.where(kept, jnp.cumsum(kept, axis=1) - 1, path.shape[1])
    row = jnp.arange(path.shape[0])[:, None]
    words = jnp.zeros_like(path).at[row, place].set(path, mode="drop")
    return words, jnp.sum(clear(jnp.max(log_p, axis=-1), mask), axis=1)
