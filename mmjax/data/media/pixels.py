"""Pixels as arrays of 8 or 16 bits: converted to grey or RGB, and resized."""

import numpy as np
from jaxtyping import UInt
from PIL import Image

from mmjax.errors import UserError

_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as Pillow's
Pixels = UInt[np.ndarray, "height width channel"]  # uint8 or uint16


def channels_of(pixels: np.ndarray) -> Pixels:
    """An array `[height, width]` or `[height, width, channel]`, with its axis of channels.

    Raises:
        UserError: another shape, or neither uint8 nor uint16.
    """
    if pixels.dtype not in (np.uint8, np.uint16) or pixels.ndim not in (2, 3) or not pixels.size:
        raise UserError(
            "expected pixels uint8 or uint16, [height, width] or [height, width, channel], "
            f"got {pixels.dtype} {pixels.shape}"
        )
    return pixels[..., None] if pixels.ndim == 2 else pixels


def levels_of(image: Image.Image, channels: int) -> Pixels:
    """The pixels of a picture in grey or RGB, uint16 of 16-bit grey, else uint8.

    Transparent pixels, whose colour is arbitrary, are shown on white.

    Raises:
        UserError: a picture of 32 bits, or `channels` other than 1 and 3.
    """
    modes = {1: "L", 3: "RGB"}
    if channels not in modes:
        raise UserError(f"a picture has 1 or 3 channels, the model expects {channels}")
    if image.mode in ("I", "F"):
        raise UserError(f"expected 8 or 16 bits per channel, got mode {image.mode!r}")
    if image.mode.startswith("I;16"):
        # Pillow's own conversion clips 16 bits at 255: nearly all pixels would be white.
        return np.asarray(image).astype(np.uint16, copy=False)[..., None]
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        image = Image.new("RGB", layer.size, "white")
        image.paste(layer, mask=layer)
    return channels_of(np.asarray(image.convert(modes[channels])))


def resized(pixels: Pixels, shape: tuple[int, int, int]) -> np.ndarray:
    """Resized, averaging where it shrinks, and converted to the number of channels of `shape`.

    Grey is repeated, RGB weighted to grey, and the transparency of RGB shown on white.

    Raises:
        UserError: channels that cannot be converted.
    """
    h, w, c = shape
    largest = np.iinfo(pixels.dtype).max
    if pixels.shape[2] in (2, 4) and c == pixels.shape[2] - 1:
        alpha = pixels[..., -1:] / np.float32(largest)
        pixels = np.round(pixels[..., :-1] * alpha + largest * (1 - alpha)).astype(pixels.dtype)
    if pixels.shape[2] == 3 and c == 1:
        pixels = np.round(pixels @ np.array(_LUMA, np.float32)).astype(pixels.dtype)[..., None]
    if pixels.shape[2] == 1 and c == 3:
        return np.repeat(resized(pixels, (h, w, 1)), 3, axis=2)
    if pixels.shape[2] != c:
        raise UserError(f"expected pixels of {c} channels, got {pixels.shape[2]}")
    if pixels.shape == shape:
        return pixels
    if pixels.dtype == np.uint8 and c == 3:
        return np.asarray(Image.fromarray(pixels).resize((w, h), Image.Resampling.BILINEAR))
    planes = [
        Image.fromarray(np.ascontiguousarray(pixels[..., i])).resize(
            (w, h), Image.Resampling.BILINEAR
        )
        for i in range(c)
    ]
    return np.stack([np.asarray(plane) for plane in planes], axis=-1)
