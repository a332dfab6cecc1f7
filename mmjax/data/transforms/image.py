"""Images: opened safely, brought to one shape, standardised."""

import io
import math
import mmap
import os
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Union

import numpy as np
from PIL import Image, ImageOps
from PIL.JpegImagePlugin import JpegImageFile

from mmjax.data.transforms.transform import Transform
from mmjax.errors import UserError
from mmjax.io.safe_open import open_file
from mmjax.types import Masked

# Decoded, 50 megapixels of RGB take 150 MB. Pillow itself refuses only above 179.
PIXEL_LIMIT = 50_000_000

# Scans of a progressive JPEG: usual are 10, and each may go over all pixels in a few bytes.
SCAN_LIMIT = 100

# Pillow takes a microsecond for each; writers of PNG use chunks of 8 kB and more.
PART_LIMIT = 200_000
_LARGEST = float(np.finfo(np.float32).max)
_FORMATS = ("PNG", "JPEG", "WEBP")

AnyImage = Union[np.ndarray, Image.Image]


def open_image(path: str | os.PathLike[str]) -> Image.Image:
    """A PNG, JPEG or WebP file, decoded and upright; UserError for whatever is not exactly that.

    The size is read from the header and held against `PIXEL_LIMIT` before a pixel is decoded. Of
    an animation it is the first picture.
    """
    expected = f"{path}: expected a PNG, JPEG or WebP image of at most {PIXEL_LIMIT:,} pixels"
    with open_file(path, expected) as file, warnings.catch_warnings():
        # Of damage that does not keep the picture from being shown, and of its size.
        warnings.simplefilter("ignore")
        try:
            return _decoded(file)
        except Image.UnidentifiedImageError:
            raise UserError(f"{expected}, got a file of another kind or a damaged one") from None
        except Image.DecompressionBombError as error:
            raise UserError(f"{expected}, got {error}") from None
        except Exception as error:  # a decoder raises whatever it computes from a broken header
            raise UserError(f"{expected}, got a damaged one: {error!r:.300}") from error


def _decoded(file: io.BufferedReader) -> Image.Image:
    if _parts(file) > PART_LIMIT:
        raise UserError(f"more than {PART_LIMIT:,} parts")
    image = Image.open(file, formats=_FORMATS)
    if image.width * image.height > PIXEL_LIMIT:
        raise Image.DecompressionBombError(f"{image.width} x {image.height} pixels")
    if 0 in image.size:
        raise UserError("no pixels")
    if isinstance(image, JpegImageFile) and _scans(file) > SCAN_LIMIT:
        raise Image.DecompressionBombError(f"more than {SCAN_LIMIT} scans over the pixels")
    # Pillow shows a PNG whose end is missing; this reads every chunk and its checksum.
    image.verify()
    file.seek(0)
    image = Image.open(file, formats=_FORMATS)
    image.load()
    return upright(image)


def _parts(file: io.BufferedReader) -> int:
    """Chunks of a PNG; segments of a JPEG before its pixels, and bytes that belong to none."""
    if os.fstat(file.fileno()).st_size == 0:
        return 0
    count = 0
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        png = content[:4] == b"\x89PNG"
        if not png and content[:2] != b"\xff\xd8":
            return 0
        place = 8 if png else 2
        while place + 4 <= len(content) and count <= PART_LIMIT:
            count += 1
            if png:
                place += 12 + int.from_bytes(content[place : place + 4], "big")
            elif content[place] != 0xFF or content[place + 1] in (0, 0xFF):
                place += 1
            elif content[place + 1] == 0xDA:  # the pixels
                break
            else:
                place += 2 + int.from_bytes(content[place + 2 : place + 4], "big")
    return count


def _scans(file: io.BufferedReader) -> int:
    """At least as many as a JPEG has: how often the marker is found that begins one."""
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return sum(1 for _ in re.finditer(rb"\xff\xda", content))


def upright(image: Image.Image) -> Image.Image:
    """Turned as its EXIF data say; as it is, where these cannot be read."""
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # damaged EXIF data raise whatever is computed from them
        return image


@dataclass(frozen=True)
class ImageTransform(Transform):
    """values = (pixel / 255 - mean) / std, channel by channel."""

    shape: tuple[int, int, int]  # height, width, channels
    mean: tuple[float, ...]  # one per channel, of pixels in 0..1
    std: tuple[float, ...]  # one per channel, of pixels in 0..1, above 0

    def __post_init__(self):
        if len(self.shape) != 3 or not all(isinstance(n, int) and n > 0 for n in self.shape):
            raise UserError(f"shape: expected (height, width, channels), got {self.shape}")
        if math.prod(self.shape) > PIXEL_LIMIT:
            raise UserError(f"shape: expected at most {PIXEL_LIMIT:,} numbers, got {self.shape}")
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) != self.shape[2] or not np.isfinite(values).all():
                raise UserError(f"{name}: expected {self.shape[2]} finite numbers, got {values}")
        if min(self.std) <= 0:
            raise UserError(f"std: expected numbers above 0, got {self.std}")
        for mean, std in zip(self.mean, self.std, strict=True):
            if not max((1 + abs(mean)) / std, abs(mean), std) <= _LARGEST:
                raise UserError(
                    f"std: expected pixels that fit into float32, got a mean {mean:g} over {std:g}"
                )

    @classmethod
    def fit(cls, images: np.ndarray) -> "ImageTransform":
        """Mean and standard deviation of uint8 images [n, h, w, c]: those of the training split.

        The deviation is at least one grey level, so that a constant channel stays finite.
        """
        if images.dtype != np.uint8 or images.ndim != 4 or images.size == 0:
            raise UserError(
                "images: expected a uint8 array [n, h, w, c] that is not empty, "
                f"got {images.dtype} {images.shape}"
            )
        _, h, w, c = images.shape
        levels = np.arange(256) / 255
        mean, std = [], []
        for channel in range(c):
            # A histogram is exact, and 256 numbers instead of a float copy of all images.
            share = sum(
                np.bincount(chunk.ravel(), minlength=256)
                for chunk in np.array_split(images[..., channel], 1 + len(images) // 1024)
            ) / (images.size // c)
            mean.append(float(share @ levels))
            std.append(max(float(np.sqrt(share @ (levels - mean[-1]) ** 2)), 1 / 255))
        return cls(shape=(h, w, c), mean=tuple(mean), std=tuple(std))

    def __call__(self, images: np.ndarray | Sequence[AnyImage | None]) -> Masked:
        """Values [b, h, w, c] with a mask [b], False for the rows that are None.

        A row is an array of `shape`, uint8 or floats in 0..1, or a PIL image, which is turned
        upright, converted to grey or RGB and stretched to `shape`.
        """
        if isinstance(images, np.ndarray) and images.dtype == np.uint8:
            if images.shape[1:] != self.shape:
                raise UserError(f"images: expected [b, *{self.shape}], got {images.shape}")
            return Masked(self._standardised(images), np.ones(len(images), bool))
        levels = np.zeros((len(images), *self.shape), np.float32)
        mask = np.zeros(len(images), bool)
        for row, image in enumerate(images):
            if image is not None:
                levels[row] = self._levels(image, row)
                mask[row] = True
        values = self._standardised(levels)
        values[~mask] = 0
        return Masked(values, mask)

    def read(self, text: str, folder: Path) -> np.ndarray:
        """The PNG, JPEG or WebP file of this path, in `shape`: so many more fit into memory."""
        path = folder / text
        try:
            return self._resized(open_image(path))
        except ValueError as error:
            raise UserError(str(error) if str(path) in str(error) else f"{path}: {error}") from None

    def remarks(self, row: Any) -> list[str]:
        """None: every picture is brought to one shape."""
        return []

    def _standardised(self, levels: np.ndarray) -> np.ndarray:
        mean, std = np.array(self.mean), np.array(self.std)
        values = np.multiply(levels, (1 / (255 * std)).astype(np.float32), dtype=np.float32)
        values -= (mean / std).astype(np.float32)
        return values

    def _levels(self, image: AnyImage, row: int) -> np.ndarray:
        """One image as grey levels in 0..255."""
        if isinstance(image, Image.Image):
            try:
                return self._resized(image)
            except ValueError as error:
                raise UserError(f"image in row {row}: {error}") from None
        if not isinstance(image, np.ndarray) or image.shape != self.shape:
            got = image.shape if isinstance(image, np.ndarray) else type(image).__name__
            raise UserError(f"image in row {row}: expected an array {self.shape}, got {got}")
        if image.dtype == np.uint8:
            return image
        if not np.issubdtype(image.dtype, np.floating):
            raise UserError(
                f"image in row {row}: expected uint8 or floats in 0..1, got {image.dtype}"
            )
        if not np.isfinite(image).all():
            raise UserError(f"image in row {row}: expected finite pixels, got NaN or infinity")
        if image.min() < 0 or image.max() > 1:
            raise UserError(
                f"image in row {row}: expected floats in 0..1, "
                f"got {image.min():g} to {image.max():g}"
            )
        return image * 255

    def _resized(self, image: Image.Image) -> np.ndarray:
        h, w, c = self.shape
        modes = {1: "L", 3: "RGB"}
        if c not in modes:
            raise UserError(f"a picture has 1 or 3 channels, the model expects {c}")
        if image.mode in ("I", "F"):
            raise UserError(f"expected 8 or 16 bits per channel, got mode {image.mode!r}")
        image = upright(image)
        if image.mode.startswith("I;16"):
            # Pillow's own conversion clips 16 bits at 255: everything would turn white.
            image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
        if image.has_transparency_data:
            # What is under full transparency is arbitrary: show it as on white paper.
            layer = image.convert("RGBA")
            image = Image.new("RGB", layer.size, "white")
            image.paste(layer, mask=layer)
        image = image.convert(modes[c]).resize((w, h), Image.Resampling.BILINEAR)
        return np.asarray(image).reshape(h, w, c)
