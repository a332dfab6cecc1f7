"""Cells of a table: numbers, categories and empty cells."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import Array
from jaxtyping import Bool, Float

from mmjax.layers.tokens.masking import clear


class Cells(NamedTuple):
    """The columns by kind; `mask` is False where a cell is empty or its category unknown."""

    numbers: Float[Array, "batch numeric"]  # zeros where masked
    categories: Float[Array, "batch categorical width"]  # embeddings, zeros where masked
    mask: Bool[Array, "batch column"]  # the numeric columns, then the categorical ones


class CellEmbedding(nn.Module):
    """Splits numeric from categorical columns and embeds the categories, each column separately.

    A categorical cell holds its category's number, 0 to n - 1; any other number is unknown.
    """

    categories: tuple[int, ...]  # number per column, 0 for a numeric column; (): all are numeric
    width: int  # of an embedding

    @nn.compact
    def __call__(
        self, values: Float[Array, "batch column"], mask: Bool[Array, "batch column"]
    ) -> Cells:
        """Raises ValueError if `categories` does not have one entry for each column."""
        count = np.array(self.categories or (0,) * values.shape[1])
        if len(count) != values.shape[1] or count.min(initial=0) < 0:
            raise ValueError(
                f"categories: expected {values.shape[1]} numbers of 0 or more, one for each "
                f"column, got {self.categories}"
            )
        numeric, categorical = np.flatnonzero(count == 0), np.flatnonzero(count)
        values = clear(values, mask)
        known = (values >= 0) & (values < jnp.asarray(count, values.dtype)[None])
        mask = mask & (known | jnp.asarray(count == 0)[None])
        embedded = jnp.zeros((values.shape[0], 0, self.width), values.dtype)
        if len(categorical):
            total = count[categorical]
            # One table for all columns: a category's row is offset by the columns before it.
            first = jnp.asarray(np.cumsum(total) - total)[None]
            row = clear(values, mask)[:, categorical].astype(first.dtype) + first
            embedded = nn.Embed(int(total.sum()), self.width, name="categories")(row)
            embedded = clear(embedded, mask[:, categorical])
        order = np.concatenate([numeric, categorical])
        return Cells(values[:, numeric], embedded, mask[:, order])
