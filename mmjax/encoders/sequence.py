"""What a recurrent encoder reads: words, or rows of numbers with or without time stamps."""

import jax.numpy as jnp
from jaxtyping import Bool, Shaped

from mmjax.layers.tokens.intervals import with_intervals
from mmjax.layers.tokens.word_embedding import WordEmbedding
from mmjax.types import AnyArray, Tokens


def embedded(
    values: Shaped[AnyArray, "batch token *feature"],
    mask: Bool[AnyArray, "batch token"],
    vocabulary_size: int,
    embedding_dim: int,
    time: int | None,
) -> Tokens:
    """Integers are looked up, in a layer `embedding` of the calling module; floats stay as rows."""
    values, mask = jnp.asarray(values), jnp.asarray(mask)
    if jnp.issubdtype(values.dtype, jnp.integer):
        return WordEmbedding(vocabulary_size, embedding_dim, name="embedding")(values, mask)
    return Tokens(with_intervals(values, mask, time), mask)
