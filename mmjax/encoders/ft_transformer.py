"""FT-Transformer: cells are tokens, Gorishniy et al. 2021, arXiv:2106.11959."""

from typing import final

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Bool, Float

from mmjax.layers.attention.transformer import TransformerBlock
from mmjax.layers.fields import require_at_least
from mmjax.layers.normalisation import layer_norm
from mmjax.layers.tokens.cells import CellEmbedding
from mmjax.layers.tokens.masking import clear
from mmjax.types import AnyArray, Tokens


@final
class FtTransformer(nn.Module):
    """Table: x_j = number_j w_j + b_j, or embedding_j + b_j; [class, x] through blocks; norm.

    The class token comes first, then numeric columns, then categorical ones. Empty cells and
    unknown categories are masked tokens; a row without any cell has no tokens.
    """

    dim: int = 64  # width of a token
    layers: int = 2  # blocks
    heads: int = 4  # must divide dim
    categories: tuple[int, ...] = ()  # per column, 0 for a numeric one; (): all are numeric
    dropout: float = 0.0  # share of sublayers' results dropped in training

    @nn.compact
    def __call__(
        self,
        values: Float[AnyArray, "batch column"],
        mask: Bool[AnyArray, "batch column"],
        train: bool,
    ) -> Tokens:
        """Returns 1 + columns tokens; raises ValueError if `categories` does not fit them."""
        require_at_least(self, 0, "layers")
        embedding = CellEmbedding(self.categories, self.dim, name="cells")
        cells = embedding(jnp.asarray(values), jnp.asarray(mask))
        init = nn.initializers.normal(self.dim**-0.5)
        numbers = cells.numbers[:, :, None]
        if numbers.shape[1]:
            kernel = self.param("number_kernel", init, (numbers.shape[1], self.dim))
            numbers = numbers.astype(kernel.dtype) * kernel[None]
        else:
            numbers = jnp.zeros((numbers.shape[0], 0, self.dim), cells.categories.dtype)
        x = jnp.concatenate([numbers, cells.categories], axis=1)
        x = x + self.param("column", init, x.shape[1:])[None].astype(x.dtype)
        first = self.param("class", init, (1, self.dim)).astype(x.dtype)
        x = jnp.concatenate([jnp.broadcast_to(first, (x.shape[0], 1, self.dim)), x], axis=1)
        mask = jnp.concatenate([jnp.any(cells.mask, axis=1, keepdims=True), cells.mask], axis=1)
        for layer in range(self.layers):
            block = TransformerBlock(self.heads, self.dropout, name=f"block_{layer}")
            x = block(x, mask[:, None], train=train)
        x = layer_norm("norm")(x)
        return Tokens(clear(x, mask), mask)
