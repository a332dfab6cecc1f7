"""Very deep convolutional network, VGG, Simonyan & Zisserman 2015, arXiv:1409.1556."""

from typing import Literal, final

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Bool, Float

from mmjax.layers.convolution.batch_norm import BatchNorm
from mmjax.layers.convolution.convolution import Conv
from mmjax.layers.tokens.image_tokens import image_tokens
from mmjax.layers.tokens.masking import clear
from mmjax.layers.tokens.pooling import max_pool
from mmjax.layers.tracing.rematerialisation import block
from mmjax.types import AnyArray, Tokens

CONVOLUTIONS = {11: (1, 1, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}  # of each stage
STRIDE = 32


@final
class Vgg(nn.Module):
    """Image: five stages of 3x3 convolutions and a 2x2 maximum; one token per position.

    The feature layers without the classifier. Convolutions before BatchNorm have no bias: the norm
    would subtract it, and its gradient would be zero.
    """

    depth: Literal[11, 16, 19] = 11  # layers, including the three of the classifier
    batch_norm: bool = True  # after each convolution
    dim: int | None = None  # width of a token; None: the last stage's, 8 times `width`
    width: int = 64  # channels of the first stage; they double up to 8 times as many
    weights: str | None = None  # safetensors of published weights, read when a training begins

    @nn.compact
    @block
    def __call__(
        self,
        values: Float[AnyArray, "batch height width channel"],
        mask: Bool[AnyArray, "batch"],
        train: bool,
    ) -> Tokens:
        """Returns height/32 * width/32 tokens, rounded down.

        Raises:
            ValueError: the image is smaller than 32x32 pixels.
        """
        mask = jnp.asarray(mask)
        height, width = values.shape[1:3]
        if height < STRIDE or width < STRIDE:
            raise ValueError(
                f"vgg: an image must be at least {STRIDE}x{STRIDE} pixels, got {height}x{width}"
            )
        x = clear(values, mask)
        kernel_init = nn.initializers.variance_scaling(2.0, "fan_out", "normal")
        for stage, convolutions in enumerate(CONVOLUTIONS[self.depth], start=1):
            for place in range(convolutions):
                x = Conv(
                    self.width * min(2 ** (stage - 1), 8),
                    (3, 3),
                    use_bias=not self.batch_norm,
                    kernel_init=kernel_init,
                    name=f"conv{stage}_{place}",
                )(x)
                if self.batch_norm:
                    x = BatchNorm(name=f"norm{stage}_{place}")(x, mask, train=train)
                x = nn.relu(x)
            x = max_pool(x, 2, stride=2)
        return image_tokens(x, mask, self.dim)
