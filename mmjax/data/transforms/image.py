"""Images: opened safely, resized to one shape, standardised."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Union

import jax
import numpy as np
from PIL import Image

from mmjax.data.media.dicom import is_dicom, open_dicom
from mmjax.data.media.image import PIXEL_LIMIT, open_image
from mmjax.data.media.pixels import channels_of, levels_of, resized
from mmjax.data.media.source import cell_source, label
from mmjax.data.standardize import LARGEST, check_statistics
from mmjax.data.transforms.transform import Remark, Transform, stack_rows
from mmjax.errors import UserError
from mmjax.types import Masked

AnyImage = Union[np.ndarray, jax.Array, Image.Image]


@dataclass(frozen=True)
class ImageTransform(Transform):
    """values = (level / largest level - mean) / std, for each channel.

    The largest level is 255 of uint8, `levels` of uint16 and 1 of floats.
    """

    shape: tuple[int, int, int]  # height, width, channels
    mean: tuple[float, ...]  # one per channel, of pixels in 0..1
    std: tuple[float, ...]  # one per channel, of pixels in 0..1, above 0
    # The level of 16-bit pictures that becomes 1: the largest of the training split, which may use
    # fewer bits.
    levels: float = 65_535.0

    def __post_init__(self):
        if len(self.shape) != 3 or not all(isinstance(n, int) and n > 0 for n in self.shape):
            raise UserError(f"shape: expected (height, width, channels), got {self.shape}")
        if math.prod(self.shape) > PIXEL_LIMIT:
            raise UserError(f"shape: expected at most {PIXEL_LIMIT:,} numbers, got {self.shape}")
        if not 1 <= self.levels <= 65_535:
            raise UserError(f"levels: expected 1 to 65,535, got {self.levels!r}")
        check_statistics(self.mean, self.std, size=self.shape[2])
        for mean, std in zip(self.mean, self.std, strict=True):
            if max((65_535 + abs(mean)) / std, abs(mean), std) > LARGEST:
                raise UserError(
                    f"std: expected pixels that fit into float32, got a mean {mean:g} over {std:g}"
                )

    @classmethod
    def fit(cls, images: np.ndarray | Iterable[np.ndarray | jax.Array | None]) -> "ImageTransform":
        """Mean and standard deviation of the training images `[n, height, width, channel]`.

        Images of one shape, uint8, uint16 or floats in 0..1, are read in one pass; see `ImageFit`.
        """
        fitting = None
        for i, row in enumerate(images):
            if row is None:
                continue
            if np.ndim(row) != 3:
                raise UserError(f"image {i}: expected an array [h, w, c], got {np.shape(row)}")
            h, w, c = np.shape(row)
            fitting = fitting or ImageFit((h, w, c))
            try:
                fitting.add(row)
            except UserError as error:
                raise UserError(f"image {i}: {error}") from None
        if fitting is None:
            raise UserError("images: expected one image at least, got none")
        return fitting.result()

    def __call__(self, images: np.ndarray | jax.Array | Sequence[AnyImage | None]) -> Masked:
        """Values float32 `[b, height, width, channel]` and mask `[b]`, False for None.

        A row is an array of `shape`, uint8, uint16 or floats in 0..1, or a PIL image, which is
        turned upright, converted to grey or RGB and resized to `shape`.
        """
        if isinstance(images, jax.Array):
            images = np.asarray(images)
        if not isinstance(images, np.ndarray) and all(
            isinstance(row, np.ndarray) and (row.dtype, row.shape) == (np.uint8, self.shape)
            for row in images
        ):
            images = (
                np.stack([np.asarray(row) for row in images])
                if images
                else np.zeros((0, *self.shape), np.uint8)
            )
        if isinstance(images, np.ndarray) and images.dtype == np.uint8:
            if images.shape[1:] != self.shape:
                raise UserError(f"images: expected [b, *{self.shape}], got {images.shape}")
            return Masked(self._standardised(images), np.ones(len(images), bool))
        levels, mask = stack_rows("image", images, self.shape, self._levels)
        values = self._standardised(levels)
        values[~mask] = 0
        return Masked(values, mask)

    def read(
        self,
        cell: Any,
        folder: Path,
        *,
        pixel_limit: int | None = None,
        window: tuple[float, float] | None = None,
    ) -> np.ndarray:
        """The pixels of a picture, uint8 or uint16, resized to `shape`.

        A cell is a path relative to `folder` or the content of a file, of any kind that
        `open_image` or `open_dicom` reads, {"bytes": content, "path": text}, or an array uint8 or
        uint16, `[height, width]` or `[height, width, channel]`.

        Args:
            cell: of a table
            folder: of paths
            pixel_limit: largest picture that is read, in pixels; None: the reader's own limit
            window: of DICOM, (centre, width) of the levels that are shown; None: the file's
        """
        if hasattr(cell, "__array__"):
            return self._resized(channels_of(np.asarray(cell)))
        source, name = cell_source(cell, folder)
        if is_dicom(source):
            limit = pixel_limit or PIXEL_LIMIT
            image = open_dicom(source, name=name, window=window or "file", pixel_limit=limit)
        else:
            image = open_image(source, name=name, size=self.shape[:2], pixel_limit=pixel_limit)
        try:
            return self._resized(image)
        except ValueError as error:
            raise UserError(f"{label(source, name, 'picture')}: {error}") from None

    def remarks(self, row: Any) -> list[Remark]:
        """Always empty: every image is resized to one shape."""
        return []

    def _standardised(self, levels: np.ndarray) -> np.ndarray:
        """From levels in 0..255."""
        mean, std = np.array(self.mean), np.array(self.std)
        # Whole lines at once: NumPy is slow where the last axis is short.
        batch, height, width, channels = levels.shape
        lines = levels.reshape(batch, height, width * channels)
        scale = np.tile((1 / (255 * std)).astype(np.float32), width)
        values = np.multiply(lines, scale, dtype=np.float32)
        values -= np.tile((mean / std).astype(np.float32), width)
        return values.reshape(levels.shape)

    def _levels(self, image: Any) -> np.ndarray:
        """The levels of one image, 0..255."""
        pixels = self._resized(image) if isinstance(image, Image.Image) else image
        pixels = _checked(pixels, self.shape)
        return pixels if pixels.dtype == np.uint8 else pixels * np.float32(255 / self._top(pixels))

    def _top(self, pixels: np.ndarray) -> float:
        return self.levels if pixels.dtype == np.uint16 else 1.0

    def _resized(self, image: np.ndarray | Image.Image) -> np.ndarray:
        c = self.shape[2]
        if isinstance(image, Image.Image):
            image = levels_of(image, c)
        if image.shape == self.shape:
            return image
        return resized(image, self.shape)


def _checked(image: Any, shape: tuple[int, int, int]) -> np.ndarray:
    """The image as an array uint8, uint16 or of floats in 0..1."""
    pixels = np.asarray(image) if hasattr(image, "__array__") else None
    if pixels is None or pixels.shape != shape:
        got = type(image).__name__ if pixels is None else pixels.shape
        raise UserError(f"expected an array {shape}, got {got}")
    if pixels.dtype in (np.uint8, np.uint16):
        return pixels
    if not np.issubdtype(pixels.dtype, np.floating):
        raise UserError(f"expected uint8, uint16 or floats in 0..1, got {pixels.dtype}")
    if not np.isfinite(pixels).all():
        raise UserError("expected finite pixels, got NaN or infinity")
    if pixels.min() < 0 or pixels.max() > 1:
        raise UserError(f"expected floats in 0..1, got {pixels.min():g} to {pixels.max():g}")
    return pixels


class ImageFit:
    """Mean and standard deviation of each channel of images that are added one by one.

    The histograms of all levels: exact, and of a size that does not depend on the number of images.
    """

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self._shape = shape
        self._counts: dict[str, np.ndarray] = {}  # by type: [channel, level]

    def add(self, row: Any, /) -> None:
        """Add an image uint8, uint16 or of floats in 0..1, an array of `shape`; None is missing.

        Floats are rounded to 16 bits.
        """
        if row is None:
            return
        pixels = _checked(row, self._shape)
        kind = pixels.dtype.name
        if pixels.dtype not in (np.uint8, np.uint16):
            kind, pixels = "float", np.round(pixels * 65_535).astype(np.uint16)
        bins = 256 if kind == "uint8" else 65_536
        if kind not in self._counts:
            self._counts[kind] = np.zeros((self._shape[2], bins), np.int64)
        for channel, counts in enumerate(self._counts[kind]):
            counts += np.bincount(pixels[..., channel].ravel(), minlength=bins)

    def result(self) -> ImageTransform:
        """The fitted transform.

        The deviation is at least one grey level, so that a constant channel stays finite.

        Raises:
            UserError: no image was added.
        """
        if not self._counts:
            raise UserError("images: expected one image at least, got none")
        tops = {"uint8": 255, "float": 65_535, "uint16": 65_535}
        if "uint16" in self._counts:
            # All black: nothing is known of the range.
            tops["uint16"] = int(np.nonzero(self._counts["uint16"].sum(axis=0))[0][-1]) or 65_535
        points = np.concatenate(
            [np.arange(n.shape[1]) / tops[kind] for kind, n in self._counts.items()]
        )
        share = np.concatenate(list(self._counts.values()), axis=1).astype(np.float64)
        share /= share.sum(axis=1, keepdims=True)
        mean = share @ points
        variance = (share * (points - mean[:, None]) ** 2).sum(axis=1)
        smallest = max(1 / tops[kind] for kind in self._counts)
        return ImageTransform(
            shape=self._shape,
            mean=tuple(map(float, mean)),
            std=tuple(map(float, np.maximum(np.sqrt(variance), smallest))),
            levels=float(tops["uint16"]),
        )
