"""From the stored pixels of a DICOM file to the levels that are to be seen.

NEMA PS3.3, C.7.6.3 (pixels), C.11.1 (rescaling) and C.11.2 (windows).
"""

from typing import Any, Literal, Union

import numpy as np
from jaxtyping import UInt16

from mmjax.data.media.pixels import Pixels, channels_of
from mmjax.errors import UserError

Window = Union[tuple[float, float], Literal["file"], None]  # centre and width, rescaled
_TOP = 65_535


def shown(stored: np.ndarray, data: Any, window: Window) -> Pixels:
    """Grey, or RGB, of the pixels `[height, width, *channel]` of a data set."""
    from pydicom.pixels.processing import apply_color_lut

    kind = data.PhotometricInterpretation
    if kind in ("MONOCHROME1", "MONOCHROME2"):
        return channels_of(_grey(stored, data, window))
    if kind == "PALETTE COLOR":
        stored = apply_color_lut(stored, data)
    pixels = channels_of(stored)
    if pixels.shape[2] < 3:
        raise UserError(f"{pixels.shape[2]} channels of {kind}")
    return pixels[..., :3]


def _grey(stored: np.ndarray, data: Any, window: Window) -> np.ndarray:
    if stored.dtype.kind not in "iu" or stored.ndim != 2 or not 1 <= data.BitsStored <= 16:
        raise UserError(f"{data.BitsStored} bits a pixel, not 1 to 16, or several channels")
    inverted = data.PhotometricInterpretation == "MONOCHROME1"
    if window == "file" and data.get("VOILUTSequence"):
        from pydicom.pixels.processing import apply_voi

        levels = apply_voi(np.round(_rescaled(stored, data)).astype(np.int64), data)
        top = 2 ** int(data.VOILUTSequence[0].LUTDescriptor[2]) - 1
    elif window == "file" and data.get("WindowCenter") and data.get("WindowWidth"):
        centre, width = _first(data.WindowCenter), _first(data.WindowWidth)
        function = data.get("VOILUTFunction") or "LINEAR"
        levels, top = _windowed(_rescaled(stored, data), centre, width, function), _TOP
    elif isinstance(window, tuple):
        levels, top = _windowed(_rescaled(stored, data), *window, "LINEAR"), _TOP
    else:
        bits = int(data.BitsStored)
        low = -(2 ** (bits - 1)) if data.PixelRepresentation else 0
        top = 2**bits - 1
        levels = (np.clip(stored, low, low + top).astype(np.int32) - low).astype(np.uint16)
        inverted ^= float(data.get("RescaleSlope") or 1) < 0
        if bits <= 8:
            levels, top = (levels * 255 // top).astype(np.uint8), 255
    return (top - levels).astype(levels.dtype) if inverted else levels


def _rescaled(stored: np.ndarray, data: Any) -> np.ndarray:
    """In the units of the device, such as Hounsfield's."""
    if data.get("ModalityLUTSequence"):
        from pydicom.pixels.processing import apply_modality_lut

        return apply_modality_lut(stored, data).astype(np.float32)
    values = stored.astype(np.float32)
    values *= np.float32(data.get("RescaleSlope", 1))
    values += np.float32(data.get("RescaleIntercept", 0))
    return values


def _windowed(
    values: np.ndarray, centre: float, width: float, function: str
) -> UInt16[np.ndarray, "height width"]:
    """From 0 at the lower end of the window to 65,535 at the upper; changes `values`."""
    if not (np.isfinite(centre) and 0 < width < np.inf):
        raise UserError(f"the window {centre}, {width}, whose width is not above 0")
    if function == "LINEAR":
        values -= np.float32(centre - 0.5)
        values /= np.float32(max(width - 1, 1e-6))
    else:
        values -= np.float32(centre)
        values /= np.float32(width)
    if function == "SIGMOID":
        values = 1 / (1 + np.exp(np.clip(-4 * values, -80, 80)))
    else:
        values += np.float32(0.5)
    if np.isnan(values).any():
        raise UserError("values that are not numbers")
    return np.round(np.clip(values, 0, 1) * _TOP).astype(np.uint16)


def _first(value: Any) -> float:
    """A number of a file's first window; files may offer several."""
    return float(value[0] if np.ndim(value) else value)
