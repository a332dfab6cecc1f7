"""Multi-layer perceptron on a table's row, Gorishniy et al. 2021, arXiv:2106.11959."""

from typing import final

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Bool, Float

from mmjax.layers.mlp import Mlp
from mmjax.layers.tokens.cells import CellEmbedding
from mmjax.layers.tokens.masking import clear
from mmjax.types import AnyArray, Tokens


@final
class TableMlp(nn.Module):
    """Table: z = mlp([numbers; embeddings of the categories; mask of the cells]).

    Empty cells and unknown categories are zeros and masked; a row without any cell has no token.
    """

    dim: int = 64  # width of a token
    hidden: tuple[int, ...] = (64,)  # widths of hidden ReLU layers
    categories: tuple[int, ...] = ()  # per column, 0 for a numeric one; (): all are numeric
    embedding_dim: int = 8  # width of a category's embedding
    dropout: float = 0.0  # share of hidden units dropped in training

    @nn.compact
    def __call__(
        self,
        values: Float[AnyArray, "batch column"],
        mask: Bool[AnyArray, "batch column"],
        train: bool,
    ) -> Tokens:
        """Returns one token; raises ValueError if `categories` does not fit the columns."""
        embedding = CellEmbedding(self.categories, self.embedding_dim, name="cells")
        cells = embedding(jnp.asarray(values), jnp.asarray(mask))
        flat = jnp.reshape(cells.categories, (values.shape[0], -1))
        parts = (cells.numbers, flat, cells.mask)
        x = jnp.concatenate([part.astype(flat.dtype) for part in parts], axis=1)
        mlp = Mlp(hidden=self.hidden, dim=self.dim, dropout=self.dropout, name="mlp")
        row_mask = jnp.any(cells.mask, axis=1, keepdims=True)
        return Tokens(clear(mlp(x, train=train)[:, None], row_mask), row_mask)
