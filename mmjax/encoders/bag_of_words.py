"""Bag of word embeddings, Iyyer et al. 2015 (deep averaging), doi:10.3115/v1/P15-1162."""

from typing import Literal, final

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Bool, Int

from mmjax.layers.fields import require_choice
from mmjax.layers.tokens.pooling import masked_mean
from mmjax.layers.tokens.word_embedding import WordEmbedding
from mmjax.types import AnyArray, Tokens


@final
class BagOfWords(nn.Module):
    """Text: z = mean of the words' embeddings, which ignores their order."""

    vocabulary_size: int = 10_000  # ids run from 0; words with other ids are masked
    dim: int = 64  # width of a token
    pooling: Literal["mean", "none"] = "mean"  # one token, or one per word

    @nn.compact
    def __call__(
        self,
        values: Int[AnyArray, "batch word"],
        mask: Bool[AnyArray, "batch word"],
        train: bool,
    ) -> Tokens:
        """Returns one token, or one for each word with `pooling="none"`."""
        del train
        require_choice(self, "pooling", "mean", "none")
        embedding = WordEmbedding(self.vocabulary_size, self.dim, name="embedding")
        words = embedding(jnp.asarray(values), jnp.asarray(mask))
        if self.pooling == "none":
            return words
        mean = masked_mean(words.values, words.mask)
        return Tokens(mean[:, None], words.present()[:, None])
