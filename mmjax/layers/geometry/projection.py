"""Pinhole cameras, and maps of their features on the ground (Harley et al. 2022, arXiv:2206.07959).

Places are in the frame of the vehicle, in metres: x forward, y to the left, z up. A camera's own
frame has x to the right, y down and z forward, as in Hartley and Zisserman 2004, chapter 6.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

Extent = tuple[float, float, float, float]
"""Metres: x from, to; y from, to."""


# Up to this size a matrix product: the gradient of reading single pixels is slow, most on CPUs.
_DENSE = 2**22  # places times pixels


class Seen(NamedTuple):
    """Places in a picture."""

    pixels: np.ndarray  # column and row, [place, 2]; the first pixel's centre is at (0, 0)
    depth: np.ndarray  # metres in front of the camera, [place]; not above 0: behind it


def camera(
    focal: float,
    centre: tuple[float, float],
    position: tuple[float, float, float] = (0.0, 0.0, 0.0),
    pitch: float = 0.0,
    yaw: float = 0.0,
) -> np.ndarray:
    """The matrix `[3, 4]` of a camera that looks forward, for `project`.

    Args:
        focal: focal length in pixels
        centre: column and row of the point straight ahead, in pixels
        position: of the camera in the vehicle's frame, in metres
        pitch: downwards, in radians
        yaw: to the left, in radians
    """
    forward = np.array(
        [np.cos(pitch) * np.cos(yaw), np.cos(pitch) * np.sin(yaw), -np.sin(pitch)], np.float64
    )
    right = np.array([np.sin(yaw), -np.cos(yaw), 0.0])
    turn = np.stack([right, np.cross(forward, right), forward])
    inner = np.array([[focal, 0, centre[0]], [0, focal, centre[1]], [0, 0, 1]])
    return inner @ np.concatenate([turn, -turn @ np.array(position)[:, None]], axis=1)


def project(places: np.ndarray, matrix: np.ndarray) -> Seen:
    """(u, v) = (p_1, p_2) / p_3,  p = matrix [x, y, z, 1], of places `[place, 3]`.

    Places that are not in front of the camera get the pixel (-1, -1).
    """
    p = np.concatenate([places, np.ones((len(places), 1))], axis=1) @ np.asarray(matrix).T
    front = p[:, 2:] > 1e-6
    return Seen(np.where(front, p[:, :2] / np.where(front, p[:, 2:], 1.0), -1.0), p[:, 2])


def cell_centres(extent: Extent, cells: tuple[int, int], height: float) -> np.ndarray:
    """Centres of a grid's cells in metres, `[row * cell, 3]`: rows along x, from the lowest."""
    x, y = (
        low + (high - low) * (np.arange(count) + 0.5) / count
        for low, high, count in zip(extent[::2], extent[1::2], cells, strict=True)
    )
    grid = np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1).reshape(-1, 2)
    return np.concatenate([grid, np.full((len(grid), 1), float(height))], axis=1)


def sample(
    image: Float[Array, "batch height width channel"], pixels: np.ndarray
) -> Float[Array, "batch place channel"]:
    """Bilinear interpolation at pixels `[place, 2]` (column, row), the same in every example.

    Pixels outside the picture, beyond the middle of its outermost pixels, give zeros.
    """
    batch, height, width, channels = image.shape
    flat = jnp.reshape(image, (batch, height * width, channels))
    inside = visible(pixels, (height, width))
    column, row = np.where(inside[:, None], pixels, 0.0).T
    left, top = np.floor(column).astype(int), np.floor(row).astype(int)
    corners = []  # of each place: pixels, and their shares
    for x, y in ((left, top), (left + 1, top), (left, top + 1), (left + 1, top + 1)):
        share = inside * (1 - np.abs(column - x)) * (1 - np.abs(row - y))
        corners.append((np.minimum(y, height - 1) * width + np.minimum(x, width - 1), share))
    if len(pixels) * height * width <= _DENSE:
        weights = np.zeros((len(pixels), height * width), np.float32)
        for pixel, share in corners:
            np.add.at(weights, (np.arange(len(pixels)), pixel), share)
        shares = jnp.asarray(weights, image.dtype)
        return jnp.einsum("pn,bnc->bpc", shares, flat, precision="highest")
    result = jnp.zeros((batch, len(pixels), channels), image.dtype)
    for pixel, share in corners:
        result += jnp.asarray(share, image.dtype)[None, :, None] * flat[:, pixel]
    return result


def visible(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Which pixels `[place, 2]` lie in a picture of `size` (height, width), `[place]`."""
    last = np.array([size[1] - 1, size[0] - 1])
    return np.all((pixels >= 0) & (pixels <= last), axis=1)
