"""Points on a bird's-eye-view grid, as in Lang et al. 2019 (PointPillars), arXiv:1812.05784."""

import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float

from mmjax.layers.tokens.masking import clear


def rasterise(
    points: Float[Array, "batch point feature"],
    mask: Bool[Array, "batch point"],
    extent: tuple[float, float, float, float],
    cells: tuple[int, int],
) -> Float[Array, "batch row cell channel"]:
    """log(1 + points in a cell), and the mean of each feature of its points; zeros in empty cells.

    The first two features are x and y, of which the mean is the offset from the cell's centre, in
    cells. `extent` is the grid's range in their unit, (x from, to, y from, to); points outside it
    are ignored. Rows are along x, from the lowest.
    """
    (rows, columns), (x_low, x_high, y_low, y_high) = cells, extent
    points = clear(points, mask).astype(jnp.float32)
    x = (points[:, :, 0] - x_low) / (x_high - x_low) * rows
    y = (points[:, :, 1] - y_low) / (y_high - y_low) * columns
    place = jnp.stack([x, y], axis=2)
    row, column = jnp.floor(x), jnp.floor(y)
    points = jnp.concatenate([place - jnp.floor(place) - 0.5, points[:, :, 2:]], axis=2)
    inside = mask & (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
    cell = clear(row * columns + column, inside).astype(jnp.int32)
    counted = jnp.concatenate([inside[:, :, None].astype(points.dtype), points], axis=-1)
    example = jnp.broadcast_to(jnp.arange(points.shape[0])[:, None], cell.shape)
    total = jnp.zeros((points.shape[0], rows * columns, counted.shape[-1]), counted.dtype)
    total = total.at[example, cell].add(clear(counted, inside))
    count, sums = total[:, :, :1], total[:, :, 1:]
    grid = jnp.concatenate([jnp.log1p(count), sums / jnp.maximum(count, 1.0)], axis=-1)
    return jnp.reshape(grid, (points.shape[0], rows, columns, -1))
