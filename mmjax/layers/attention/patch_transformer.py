"""Transformer over windows of a sequence: PatchTST, Nie et al. 2023, arXiv:2211.14730."""

import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jaxtyping import Bool, Float

from mmjax.layers.attention.transformer import TransformerBlock
from mmjax.layers.dropout import Dropout
from mmjax.layers.fields import require_at_least, require_share
from mmjax.layers.normalisation import layer_norm
from mmjax.layers.tokens.masking import clear
from mmjax.layers.tokens.position import sinusoids
from mmjax.layers.tokens.windows import window_mask, windows
from mmjax.layers.tracing.precision import in_kernel_dtype
from mmjax.types import Tokens


class PatchBlocks(nn.Module):
    """x = W [steps of a window; their mask] + position; x = block(x); norm(x)."""

    patch: int  # steps of a window
    dim: int  # width of a token
    layers: int
    heads: int  # must divide dim
    dropout: float  # share of embeddings and of a sublayer's result dropped in training

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch step feature"], mask: Bool[Array, "batch step"], train: bool
    ) -> Tokens:
        """Returns one token for each window; the last window is padded."""
        require_at_least(self, 1, "patch", "dim")
        require_at_least(self, 0, "layers")
        require_share(self, "dropout")
        x = jnp.concatenate([clear(x, mask), mask[:, :, None].astype(x.dtype)], axis=-1)
        x = windows(x, self.patch)
        x = jnp.reshape(x, (*x.shape[:2], x.shape[2] * x.shape[3]))
        x = nn.Dense(self.dim, promote_dtype=in_kernel_dtype, name="patch")(x)
        x = x + sinusoids(x.shape[1], self.dim)[None].astype(x.dtype)
        x = Dropout(self.dropout)(x, train=train)
        mask = window_mask(mask, self.patch)
        for layer in range(self.layers):
            block = TransformerBlock(self.heads, self.dropout, name=f"block_{layer}")
            x = block(x, mask[:, None], train=train)
        x = layer_norm("norm")(x)
        return Tokens(clear(x, mask), mask)
