"""CNN on a bird's-eye-view raster of points, after PointPillars, Lang 2019, arXiv:1812.05784."""

from typing import Literal, final

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Bool, Float

from mmjax.layers.convolution.convolution import Conv
from mmjax.layers.convolution.raster import rasterise
from mmjax.layers.fields import require_at_least, require_choice
from mmjax.layers.tokens.image_tokens import image_tokens
from mmjax.layers.tokens.pooling import average_pool
from mmjax.types import AnyArray, Tokens


@final
class BirdsEye(nn.Module):
    """Points (lidar, radar): counted and averaged in the cells of a grid, then 3x3 convolutions.

    The first two features are x and y, in the unit of `extent`. Empty cells are information too:
    every place of the grid gives a token, unless the set has no point at all.
    """

    extent: tuple[float, float, float, float] = (-3.0, 3.0, -3.0, 3.0)  # x from, to; y from, to
    cells: tuple[int, int] = (16, 16)  # along x and along y
    features: tuple[int, ...] = (32, 64)  # channels of each convolution, before a 2x2 average
    dim: int = 64  # width of a token
    pooling: Literal["flatten", "none"] = "flatten"  # one token, or one per place that remains
    positions: bool = False  # with "none": add a learned vector for each place

    @nn.compact
    def __call__(
        self,
        values: Float[AnyArray, "batch point feature"],
        mask: Bool[AnyArray, "batch point"],
        train: bool,
    ) -> Tokens:
        """Returns one token, or cells / 4^len(features) tokens with `pooling="none"`.

        Raises:
            ValueError: the grid is empty or too small for the averages, or points have fewer than
                2 features.
        """
        del train
        require_at_least(self, 1, "dim")
        require_choice(self, "pooling", "flatten", "none")
        x_low, x_high, y_low, y_high = self.extent
        if not (x_low < x_high and y_low < y_high):
            raise ValueError(
                f"BirdsEye.extent: expected x from < to, y from < to, got {self.extent}"
            )
        if min(self.cells) < 2 ** len(self.features):
            raise ValueError(
                f"BirdsEye.cells: expected at least {2 ** len(self.features)} along x and y for "
                f"{len(self.features)} averages, got {self.cells}"
            )
        if values.shape[-1] < 2:
            raise ValueError(
                f"birds_eye: expected points [x, y, ...], got {values.shape[-1]} features"
            )
        values, mask = jnp.asarray(values), jnp.asarray(mask)
        x = rasterise(values, mask, self.extent, self.cells).astype(values.dtype)
        for layer, features in enumerate(self.features):
            conv = Conv(features, (3, 3), name=f"conv_{layer}")
            x = average_pool(nn.relu(conv(x)), 2)
        if self.pooling == "flatten":
            x = jnp.reshape(x, (x.shape[0], 1, -1))
        return image_tokens(x, jnp.any(mask, axis=1), self.dim, self.positions)
