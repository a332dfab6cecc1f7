"""Vision transformer, ViT, Dosovitskiy et al. 2021, arXiv:2010.11929."""

from typing import Literal, final

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Bool, Float

from mmjax.layers.attention.transformer import TransformerBlock
from mmjax.layers.convolution.convolution import Conv
from mmjax.layers.dropout import Dropout
from mmjax.layers.fields import size_of
from mmjax.layers.normalisation import layer_norm
from mmjax.layers.tokens.image_tokens import image_tokens
from mmjax.layers.tokens.masking import clear
from mmjax.types import AnyArray, Tokens

# Width, layers, heads.
SIZES = {"tiny": (192, 12, 3), "small": (384, 12, 6), "base": (768, 12, 12)}


@final
class Vit(nn.Module):
    """Image: x = [class, W patch] + position; x = block(x); token = norm(x).

    The class token comes first, then the patches row by row. Positions are learned for one size of
    image; rows and columns that do not fill a patch are left out.
    """

    size: Literal["tiny", "small", "base"] = "tiny"
    patch: int = 16  # pixels along a side of a patch
    width: int | None = None  # of a block; None: that of `size`
    layers: int | None = None  # blocks; None: that of `size`
    heads: int | None = None  # must divide the width; None: that of `size`
    dim: int | None = None  # width of a token; None: that of a block
    dropout: float = 0.0  # share of embeddings and of sublayers' results dropped in training
    epsilon: float = 1e-6  # of the norms; transformers' checkpoints have 1e-12
    weights: str | None = None  # safetensors of published weights, read when a training begins

    @nn.compact
    def __call__(
        self,
        values: Float[AnyArray, "batch height width channel"],
        mask: Bool[AnyArray, "batch"],
        train: bool,
    ) -> Tokens:
        """Returns 1 + height/patch * width/patch tokens, rounded down.

        Raises:
            ValueError: the image is smaller than a patch, or the heads do not divide the width.
        """
        mask = jnp.asarray(mask)
        width, layers, heads = size_of(self, SIZES)
        if min(image := values.shape[1:3]) < self.patch:
            raise ValueError(
                f"vit: an image must be at least one patch, {self.patch}x{self.patch} pixels, "
                f"got {image[0]}x{image[1]}; choose a smaller patch"
            )
        window, init = (self.patch, self.patch), nn.initializers.xavier_uniform()
        patches = Conv(width, window, self.patch, "VALID", kernel_init=init, name="patch")
        x = patches(clear(values, mask))
        x = jnp.reshape(x, (x.shape[0], -1, width))
        first = self.param("class", nn.initializers.zeros, (1, width)).astype(x.dtype)
        x = jnp.concatenate([jnp.broadcast_to(first, (x.shape[0], 1, width)), x], axis=1)
        position = self.param("position", nn.initializers.normal(0.02), x.shape[1:])
        x = x + position[None].astype(x.dtype)
        x = Dropout(self.dropout)(x, train=train)
        everywhere = jnp.ones((x.shape[0], 1, x.shape[1]), bool)  # a missing image is masked below
        for layer in range(layers):
            block = TransformerBlock(heads, self.dropout, self.epsilon, name=f"block_{layer}")
            x = block(x, everywhere, train=train)
        x = layer_norm("norm", self.epsilon)(x)
        return image_tokens(x, mask, self.dim)
