"""Convolutional image encoder, LeCun et al. 1998, doi:10.1109/5.726791."""

from typing import Literal, final

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Bool, Float

from mmjax.layers.convolution.convolution import Conv
from mmjax.layers.fields import require_choice
from mmjax.layers.tokens.masking import clear
from mmjax.layers.tokens.pooling import AttentionPool, average_pool
from mmjax.layers.tracing.rematerialisation import block
from mmjax.types import AnyArray, Tokens


@final
class Cnn(nn.Module):
    """Image: 3x3 convolutions with ReLU, one 2x2 average pool, then tokens of width `dim`.

    `flatten` keeps positions and so fixes the image's size; `mean` discards them (and on MNIST the
    digit with them); `attention` learns where to look; `none` gives one token per position.
    """

    features: tuple[int, ...] = (32, 64)  # channels of each 3x3 convolution
    dim: int = 64  # width of a token
    # how positions become tokens
    pooling: Literal["flatten", "mean", "attention", "none"] = "flatten"

    @nn.compact
    @block
    def __call__(
        self,
        values: Float[AnyArray, "batch height width channel"],
        mask: Bool[AnyArray, "batch"],
        train: bool,
    ) -> Tokens:
        """Returns one token, or height/2 * width/2 tokens with `pooling="none"`.

        Raises:
            ValueError: the image is smaller than 2x2 pixels, or `pooling` is unknown.
        """
        del train
        require_choice(self, "pooling", "flatten", "mean", "attention", "none")
        batch, height, width, _ = values.shape
        if height < 2 or width < 2:
            raise ValueError(f"cnn: an image must be at least 2x2 pixels, got {height}x{width}")
        x = clear(values, mask)
        for features in self.features:
            x = nn.relu(Conv(features, (3, 3))(x))
        x = average_pool(x, 2)
        positions = jnp.reshape(x, (batch, -1, x.shape[-1]))
        match self.pooling:
            case "flatten":
                positions = jnp.reshape(x, (batch, 1, -1))
            case "mean":
                positions = jnp.mean(positions, axis=1, keepdims=True)
            case "attention":
                everywhere = jnp.ones(positions.shape[:2], bool)
                pool = AttentionPool(dim=self.dim, heads=1)
                positions = pool(positions, everywhere)[:, None, :]
        tokens = nn.Dense(self.dim, name="projection")(positions)
        mask = jnp.broadcast_to(mask[:, None], tokens.shape[:2])
        return Tokens(clear(tokens, mask), mask)
