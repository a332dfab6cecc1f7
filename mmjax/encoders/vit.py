"""Vision transformer, ViT, Dosovitskiy et al. 2021, arXiv:2010.11929."""

from typing import Literal, final

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jaxtyping import Bool, Float

from mmjax.layers.image_tokens import image_tokens
from mmjax.layers.masking import clear
from mmjax.types import AnyArray, Tokens

# Width, layers, heads.
SIZES = {"tiny": (192, 12, 3), "small": (384, 12, 6), "base": (768, 12, 12)}
_KERNEL = nn.initializers.xavier_uniform()


@final
class Vit(nn.Module):
    """Image: x = [class, W patch] + position; x = block(x); token = norm(x).

    The class token comes first, then the patches row by row. Positions are learned for one size of
    image; rows and columns that fill no patch are left out.
    """

    size: Literal["tiny", "small", "base"] = "tiny"
    patch: int = 16  # pixels along a side of a patch
    width: int | None = None  # of a block; None: that of `size`
    layers: int | None = None  # blocks; None: that of `size`
    heads: int | None = None  # must divide the width; None: that of `size`
    dim: int | None = None  # width of a token; None: that of a block
    dropout: float = 0.0  # share of embeddings and of what a sublayer adds dropped in training
    epsilon: float = 1e-6  # of the norms; transformers' checkpoints have 1e-12

    @nn.compact
    def __call__(
        self,
        values: Float[AnyArray, "batch height width channel"],
        mask: Bool[AnyArray, "batch"],
        *,
        train: bool,
    ) -> Tokens:
        """Returns 1 + height/patch * width/patch tokens, rounded down.

        Raises:
            ValueError: the image is smaller than a patch, or the heads do not divide the width.
        """
        mask = jnp.asarray(mask)
        width, layers, heads = (
            preset if chosen is None else chosen
            for chosen, preset in zip(
                (self.width, self.layers, self.heads), SIZES[self.size], strict=True
            )
        )
        self._check(width, heads, values.shape[1:3])
        x = nn.Conv(
            width, (self.patch, self.patch), self.patch, "VALID", kernel_init=_KERNEL, name="patch"
        )(clear(values, mask))
        x = jnp.reshape(x, (x.shape[0], -1, width))
        first = self.param("class", nn.initializers.zeros, (1, width)).astype(x.dtype)
        x = jnp.concatenate([jnp.broadcast_to(first, (len(x), 1, width)), x], axis=1)
        position = self.param("position", nn.initializers.normal(0.02), x.shape[1:])
        x = x + position[None].astype(x.dtype)
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        for layer in range(layers):
            block = VitBlock(heads, self.dropout, self.epsilon, name=f"block_{layer}")
            x = block(x, train=train)
        x = nn.LayerNorm(self.epsilon, use_fast_variance=False, name="norm")(x)
        return image_tokens(x, mask, self.dim)

    def _check(self, width: int, heads: int, image: tuple[int, ...]) -> None:
        if min(image) < self.patch:
            raise ValueError(
                f"vit: an image must be at least one patch, {self.patch}x{self.patch} pixels, "
                f"got {image[0]}x{image[1]}; choose a smaller patch"
            )
        if heads < 1 or width % heads:
            raise ValueError(
                f"vit: heads={heads} must divide width={width}; "
                f"choose from {[n for n in range(1, width + 1) if width % n == 0]}"
            )


class VitBlock(nn.Module):
    """x = x + out(attend(norm(x))); x = x + W gelu(V norm(x)), hidden width 4 times that of x."""

    heads: int  # must divide the width of x
    dropout: float  # share of what a sublayer adds dropped in training
    epsilon: float  # of the norms

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch token width"], *, train: bool
    ) -> Float[Array, "batch token width"]:
        batch, token, width = x.shape

        def dense(features, name, use_bias=True):
            return nn.Dense(features, use_bias=use_bias, kernel_init=_KERNEL, name=name)

        def norm(name):
            return nn.LayerNorm(self.epsilon, use_fast_variance=False, name=name)

        def dropped(y):
            return nn.Dropout(self.dropout, deterministic=not train)(y)

        y = norm("attention_norm")(x)
        # No key bias: it shifts all logits of a query alike, so its gradient would be zero.
        qkv = [dense(width, name, name != "key")(y) for name in ("query", "key", "value")]
        qkv = [jnp.reshape(y, (batch, token, self.heads, -1)) for y in qkv]
        y = jnp.reshape(jax.nn.dot_product_attention(*qkv), x.shape)
        x = x + dropped(dense(width, "out")(y))
        y = nn.gelu(dense(4 * width, "hidden")(norm("mlp_norm")(x)), approximate=False)
        return x + dropped(dense(width, "mlp")(y))
