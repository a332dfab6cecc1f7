"""Images: opened safely, resized to one shape, standardised."""

import io
import math
import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Union

import numpy as np
from PIL import Image, ImageOps
from PIL.JpegImagePlugin import JpegImageFile

from mmjax.data.standardize import LARGEST, check_statistics
from mmjax.data.transforms.transform import Transform, stack_rows
from mmjax.errors import UserError
from mmjax.io.safe_open import open_file
from mmjax.types import Masked

PIXEL_LIMIT = 50_000_000  # 150 MB when decoded to RGB; Pillow's own limit is 179 million
SCAN_LIMIT = 100  # scans of a progressive JPEG, usually 10; each decodes all pixels again
_FORMATS = ("PNG", "JPEG", "WEBP")

AnyImage = Union[np.ndarray, Image.Image]


def open_image(path: str | os.PathLike[str]) -> Image.Image:
    """Decode a PNG, JPEG or WebP file, the first frame of an animation, and turn it upright.

    Raises:
        FileNotFoundError: the file does not exist.
        UserError: it is damaged, of another format, or has more than `PIXEL_LIMIT` pixels, which is
            checked before decoding.
    """
    expected = f"{path}: expected a PNG, JPEG or WebP image of at most {PIXEL_LIMIT:,} pixels"
    with open_file(path, expected) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # harmless damage, and sizes that are checked here
        try:
            return _decoded(file)
        except Image.UnidentifiedImageError:
            raise UserError(f"{expected}, got a file of another kind or a damaged one") from None
        except Image.DecompressionBombError as error:
            raise UserError(f"{expected}, got {error}") from None
        except Exception as error:  # decoders raise many kinds of errors for a damaged header
            raise UserError(f"{expected}, got a damaged one: {error!r:.300}") from error


def _decoded(file: io.BufferedReader) -> Image.Image:
    image = Image.open(file, formats=_FORMATS)
    if image.width * image.height > PIXEL_LIMIT:
        raise Image.DecompressionBombError(f"{image.width} x {image.height} pixels")
    if 0 in image.size:
        raise UserError("no pixels")
    if isinstance(image, JpegImageFile):
        file.seek(0)
        if file.read().count(b"\xff\xda") > SCAN_LIMIT:  # the marker at the start of a scan
            raise Image.DecompressionBombError(f"more than {SCAN_LIMIT} scans over the pixels")
    # Pillow decodes a PNG whose end is missing; `verify` reads every chunk and its checksum.
    image.verify()
    file.seek(0)
    image = Image.open(file, formats=_FORMATS)
    image.load()
    return upright(image)


def upright(image: Image.Image) -> Image.Image:
    """The image rotated as its EXIF data say; unchanged where these are damaged."""
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # Pillow raises many kinds of errors for damaged EXIF data
        return image


@dataclass(frozen=True)
class ImageTransform(Transform):
    """values = (pixel / 255 - mean) / std, for each channel."""

    shape: tuple[int, int, int]  # height, width, channels
    mean: tuple[float, ...]  # one per channel, of pixels in 0..1
    std: tuple[float, ...]  # one per channel, of pixels in 0..1, above 0

    def __post_init__(self):
        if len(self.shape) != 3 or not all(isinstance(n, int) and n > 0 for n in self.shape):
            raise UserError(f"shape: expected (height, width, channels), got {self.shape}")
        if math.prod(self.shape) > PIXEL_LIMIT:
            raise UserError(f"shape: expected at most {PIXEL_LIMIT:,} numbers, got {self.shape}")
        check_statistics(self.mean, self.std, size=self.shape[2])
        for mean, std in zip(self.mean, self.std, strict=True):
            if max((1 + abs(mean)) / std, abs(mean), std) > LARGEST:
                raise UserError(
                    f"std: expected pixels that fit into float32, got a mean {mean:g} over {std:g}"
                )

    @classmethod
    def fit(cls, images: np.ndarray) -> "ImageTransform":
        """Mean and standard deviation of the training images, uint8 `[n, height, width, channel]`.

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
            # A histogram is exact, and needs no float copy of all images.
            share = sum(
                np.bincount(chunk.ravel(), minlength=256)
                for chunk in np.array_split(images[..., channel], 1 + len(images) // 1024)
            ) / (images.size // c)
            mean.append(float(share @ levels))
            std.append(max(float(np.sqrt(share @ (levels - mean[-1]) ** 2)), 1 / 255))
        return cls(shape=(h, w, c), mean=tuple(mean), std=tuple(std))

    def __call__(self, images: np.ndarray | Sequence[AnyImage | None]) -> Masked:
        """Values float32 `[b, height, width, channel]` and mask `[b]`, False for None.

        A row is an array of `shape`, uint8 or floats in 0..1, or a PIL image, which is turned
        upright, converted to grey or RGB and resized to `shape`.
        """
        if isinstance(images, np.ndarray) and images.dtype == np.uint8:
            if images.shape[1:] != self.shape:
                raise UserError(f"images: expected [b, *{self.shape}], got {images.shape}")
            return Masked(self._standardised(images), np.ones(len(images), bool))
        levels, mask = stack_rows("image", images, self.shape, self._levels)
        values = self._standardised(levels)
        values[~mask] = 0
        return Masked(values, mask)

    def read(self, text: str, folder: Path) -> np.ndarray:
        """The pixels of a PNG, JPEG or WebP file, uint8, resized to `shape` to save memory."""
        path = folder / text
        try:
            return self._resized(open_image(path))
        except ValueError as error:
            raise UserError(str(error) if str(path) in str(error) else f"{path}: {error}") from None

    def remarks(self, row: Any) -> list[str]:
        """Always empty: every image is resized to one shape."""
        return []

    def _standardised(self, levels: np.ndarray) -> np.ndarray:
        mean, std = np.array(self.mean), np.array(self.std)
        values = np.multiply(levels, (1 / (255 * std)).astype(np.float32), dtype=np.float32)
        values -= (mean / std).astype(np.float32)
        return values

    def _levels(self, image: Any) -> np.ndarray:
        """The grey levels of one image, 0..255."""
        if isinstance(image, Image.Image):
            return self._resized(image)
        if not isinstance(image, np.ndarray) or image.shape != self.shape:
            got = image.shape if isinstance(image, np.ndarray) else type(image).__name__
            raise UserError(f"expected an array {self.shape}, got {got}")
        if image.dtype == np.uint8:
            return image
        if not np.issubdtype(image.dtype, np.floating):
            raise UserError(f"expected uint8 or floats in 0..1, got {image.dtype}")
        if not np.isfinite(image).all():
            raise UserError("expected finite pixels, got NaN or infinity")
        if image.min() < 0 or image.max() > 1:
            raise UserError(f"expected floats in 0..1, got {image.min():g} to {image.max():g}")
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
            # Pillow's own conversion clips 16 bits at 255: nearly all pixels would be white.
            image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
        if image.has_transparency_data:
            # The colour of transparent pixels is arbitrary, so show the image on white.
            layer = image.convert("RGBA")
            image = Image.new("RGB", layer.size, "white")
            image.paste(layer, mask=layer)
        image = image.convert(modes[c]).resize((w, h), Image.Resampling.BILINEAR)
        return np.asarray(image).reshape(h, w, c)
