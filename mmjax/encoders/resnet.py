"""Deep residual network, ResNet, He et al. 2016, arXiv:1512.03385."""

import math
from typing import Literal, final

import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jaxtyping import Bool, Float

from mmjax.layers.convolution.batch_norm import BatchNorm
from mmjax.layers.convolution.convolution import Conv
from mmjax.layers.tokens.image_tokens import image_tokens
from mmjax.layers.tokens.masking import clear
from mmjax.layers.tokens.pooling import max_pool
from mmjax.layers.tracing.rematerialisation import block
from mmjax.types import AnyArray, Tokens

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
_KERNEL = nn.initializers.variance_scaling(2.0, "fan_out", "normal")  # He 2015, arXiv:1502.01852


@final
class ResNet(nn.Module):
    """Image: four stages of residual blocks; one token for each position of the last stage.

    Exact against torchvision, which puts the stride of bottlenecks in the 3x3 convolution ("v1.5").
    """

    depth: Literal[18, 34, 50, 101] = 18  # layers; from 50 on with bottlenecks
    # statistics over the batch (not for small batches), or over groups of channels per example
    norm: Literal["batch", "group"] = "batch"
    dim: int | None = None  # width of a token; None: the last stage's, 8 or 32 times `width`
    small_images: bool = False  # a 3x3 stem that keeps the size: for 8x8 to about 64x64 pixels
    width: int = 64  # channels of the stem
    weights: str | None = None  # safetensors of published weights, read when a training begins

    @nn.compact
    def __call__(
        self,
        values: Float[AnyArray, "batch height width channel"],
        mask: Bool[AnyArray, "batch"],
        train: bool,
    ) -> Tokens:
        """Returns height/32 * width/32 tokens, rounded up; /8 with `small_images`.

        Raises:
            ValueError: the image is smaller than 32x32 pixels, or 8x8 with `small_images`.
        """
        mask, stride = jnp.asarray(mask), 8 if self.small_images else 32
        height, width = values.shape[1:3]
        if height < stride or width < stride:
            hint = "" if self.small_images else "; set small_images=True for at least 8x8"
            raise ValueError(
                f"resnet: an image must be at least {stride}x{stride} pixels, "
                f"got {height}x{width}{hint}"
            )
        x = clear(values, mask)
        x = _conv(x, self.width, *((3, 1) if self.small_images else (7, 2)), name="conv1")
        x = nn.relu(_normed(x, mask, self.norm, train, name="norm1"))
        if not self.small_images:
            x = max_pool(x, 3, stride=2, padding=1)
        for stage, blocks in enumerate(BLOCKS[self.depth]):
            for place in range(blocks):
                x = ResidualBlock(
                    width=self.width * 2**stage,
                    stride=2 if stage > 0 and place == 0 else 1,
                    bottleneck=self.depth >= 50,
                    norm=self.norm,
                    name=f"stage{stage + 1}_{place}",
                )(x, mask, train=train)
        return image_tokens(x, mask, self.dim)


class ResidualBlock(nn.Module):
    """relu(shortcut(x) + norm(conv(... relu(norm(conv(x)))))).

    The shortcut is x, or norm(1x1 conv) where the number of channels changes.
    """

    width: int  # channels of the 3x3 convolutions
    stride: int  # of the first 3x3 convolution
    bottleneck: bool  # 1x1, 3x3, 1x1 to 4 * width; or two of 3x3
    norm: Literal["batch", "group"]

    @nn.compact
    @block
    def __call__(
        self,
        x: Float[Array, "batch height width channel"],
        mask: Bool[Array, "batch"],
        train: bool,
    ) -> Float[Array, "batch small_height small_width other_channel"]:
        basic = [(self.width, 3, self.stride), (self.width, 3, 1)]
        deep = [(self.width, 1, 1), (self.width, 3, self.stride), (4 * self.width, 1, 1)]
        y = x
        for place, layer in enumerate(deep if self.bottleneck else basic, start=1):
            y = y if place == 1 else nn.relu(y)
            y = _normed(
                _conv(y, *layer, name=f"conv{place}"), mask, self.norm, train, f"norm{place}"
            )
        if x.shape[-1] != y.shape[-1]:
            x = _conv(x, y.shape[-1], 1, self.stride, name="shortcut")
            x = _normed(x, mask, self.norm, train, "shortcut_norm")
        return nn.relu(x + y)


def _conv(x: Array, features: int, size: int, stride: int, name: str) -> Array:
    # torch's padding: with a stride, SAME would shift the grid.
    padding = [(size // 2, size // 2)] * 2
    return Conv(
        features, (size, size), stride, padding, use_bias=False, kernel_init=_KERNEL, name=name
    )(x)


def _normed(x: Array, mask: Array, norm: str, train: bool, name: str) -> Array:
    # Every scale starts at 1: a zero last scale would give the block's other layers no gradient.
    if norm == "batch":
        return BatchNorm(name=name)(x, mask, train=train)
    # 32 groups, Wu & He 2018, arXiv:1803.08494; fewer where a group would be a single channel.
    groups = max(1, math.gcd(64, x.shape[-1]) // 2)
    return nn.GroupNorm(groups, epsilon=1e-5, use_fast_variance=False, name=name)(x)
