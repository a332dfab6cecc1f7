"""A camera seen from above: features at the places of a grid, Harley et al. 2022, arXiv:2206.07959.

The lifting has no parameters (Simple-BEV): every cell of the ground looks up the picture where the
known calibration says that it appears.
"""

from typing import final

import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jaxtyping import Bool, Float

from mmjax.layers.convolution.convolution import Conv
from mmjax.layers.fields import require_at_least
from mmjax.layers.geometry.projection import cell_centres, project, sample, visible
from mmjax.layers.tokens.image_tokens import image_tokens
from mmjax.layers.tokens.masking import clear
from mmjax.layers.tokens.pooling import average_pool
from mmjax.types import AnyArray, Tokens

# The left colour camera of KITTI, as `mmjax.data.Kitti` gives its pictures: origin at the camera.
KITTI = (609.56, -721.54, 0.0, 0.0, 172.85, 0.0, -721.54, 0.0, 1.0, 0.0, 0.0, 0.0)


@final
class LiftedCamera(nn.Module):
    """token_c = W [f(p(c, h_1)); f(p(c, h_2)); ...; seen] + position_c, for every cell c.

    f is a CNN's map of features, interpolated; p projects the cell's centre at the height h into
    the picture. Cells that the camera does not see have zeros in place of f.
    """

    # The matrix [3, 4], row by row, from metres to pixels; see `layers.geometry.projection.camera`.
    camera: tuple[float, ...] = KITTI
    image_size: tuple[int, int] = (375, 1242)  # height and width that `camera` is about, in pixels
    extent: tuple[float, float, float, float] = (0.0, 32.0, -16.0, 16.0)  # metres: x, then y
    cells: tuple[int, int] = (16, 16)  # along x and along y
    heights: tuple[float, ...] = (-1.5, -0.5)  # above the origin, in metres
    features: tuple[int, ...] = (32, 64)  # channels of 3x3 convolutions, 2x2 averages between
    dim: int = 64  # width of a token

    @nn.compact
    def __call__(
        self,
        values: Float[AnyArray, "batch height width channel"],
        mask: Bool[AnyArray, "batch"],
        train: bool,
    ) -> Tokens:
        """Returns one token for each cell, row by row along x; pictures may be of another size.

        Raises:
            ValueError: a field is out of its range, or the camera sees none of the cells.
        """
        del train
        require_at_least(self, 1, "dim")
        if len(self.camera) != 12 or not self.heights or not self.features:
            raise ValueError(
                f"LiftedCamera: expected 12 numbers of a camera [3, 4], heights and features, got "
                f"{len(self.camera)}, {self.heights} and {self.features}"
            )
        mask = jnp.asarray(mask)
        x = clear(jnp.asarray(values), mask)
        for layer, features in enumerate(self.features):
            x = average_pool(x, 2) if layer else x
            x = nn.relu(Conv(features, (3, 3), name=f"conv_{layer}")(x))
        places = [cell_centres(self.extent, self.cells, height) for height in self.heights]
        seen = project(np.concatenate(places), np.reshape(self.camera, (3, 4)))
        scale = np.array([x.shape[2] / self.image_size[1], x.shape[1] / self.image_size[0]])
        pixels = (seen.pixels + 0.5) * scale - 0.5  # of the map of features
        pixels = np.where(seen.depth[:, None] > 0, pixels, -1.0)
        shown = visible(pixels, (x.shape[1], x.shape[2]))
        if not np.any(shown):
            raise ValueError(
                f"LiftedCamera: the camera sees none of the cells of {self.extent}; expected a "
                "matrix from metres in the vehicle's frame to pixels"
            )
        levels = len(self.heights)
        lifted = jnp.reshape(sample(x, pixels), (x.shape[0], levels, -1, x.shape[-1]))
        lifted = jnp.reshape(jnp.moveaxis(lifted, 1, 2), (x.shape[0], lifted.shape[2], -1))
        flags = jnp.asarray(np.reshape(shown, (levels, -1)).T, lifted.dtype)
        flags = jnp.broadcast_to(flags[None], (x.shape[0], *flags.shape))
        lifted = jnp.concatenate([lifted, flags], axis=-1)
        return image_tokens(lifted, mask, self.dim, positions=True)
