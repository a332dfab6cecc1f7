"""DICOM pictures: NEMA PS3, https://www.dicomstandard.org/current; read by pydicom."""

import io
import math
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt16

from mmjax.data.media.dicom_levels import Window, shown
from mmjax.data.media.image import BYTE_LIMIT, PIXEL_LIMIT
from mmjax.data.media.pixels import Pixels
from mmjax.data.media.source import Source, label, read_source
from mmjax.errors import MissingPackageError, UserError
from mmjax.io.safe_open import open_file

_DEFLATED = "1.2.840.10008.1.2.1.99"


def is_dicom(source: Source) -> bool:
    """True for a file that exists and begins with 128 free bytes and "DICM"."""
    if isinstance(source, bytes):
        return source[128:132] == b"DICM"
    try:
        with open_file(source, "") as file:
            return file.read(132)[128:] == b"DICM"
    except (UserError, OSError):
        return False  # whoever opens it as a picture says why


def open_dicom(
    source: Source,
    *,
    name: str | None = None,
    window: Window = "file",
    pixel_limit: int = PIXEL_LIMIT,
) -> Pixels:
    """The picture of a DICOM file, `[height, width, 1 or 3]`, bright where it is to be seen bright.

    Grey under a window is uint16, 0 at its lower and 65,535 at its upper end. Without one it keeps
    all levels of the file, from 0 at the lowest that its bits can hold: uint16, or uint8 stretched
    to 0..255 where the file has 8 bits or fewer. Colour and palettes become RGB, uint8 or uint16.

    Args:
        source: a path, or the content of a file
        name: what errors call bytes
        window: (centre, width) in rescaled units, such as (40, 400) Hounsfield units, which makes
            files comparable; "file": the first window or table of the file, if it has one; None
        pixel_limit: most pixels, checked before decoding

    Raises:
        FileNotFoundError: the file does not exist.
        MissingPackageError: pydicom is not installed.
        UserError: damaged, too large, of several frames, or of a compression that pydicom cannot
            decode.
    """
    name = label(source, name, "picture")
    content = read_source(source, f"{name}: expected a DICOM file", BYTE_LIMIT)
    return _read(content, name, pixel_limit, window)[1]


def open_slices(
    folder: str | os.PathLike[str], *, window: Window = None
) -> UInt16[np.ndarray, "slice height width"]:
    """The grey slices of a volume, in the order of their places, levels as in `open_dicom`.

    All DICOM files of the folder, ordered along the normal of the slices, or by their instance
    numbers where one has no place.

    Raises:
        UserError: no slices, slices of several shapes, or a slice that cannot be read; without a
            window also slices that are rescaled differently, whose levels cannot be compared.
    """
    paths = [path for path in sorted(Path(folder).iterdir()) if is_dicom(path)]
    if not paths:
        raise UserError(f"{folder}: expected DICOM files, got none")
    slices, places, numbers, scales = [], [], [], set()
    for path in paths:
        content = read_source(path, f"{path}: expected a DICOM file", BYTE_LIMIT)
        data, pixels = _read(content, str(path), PIXEL_LIMIT, window)
        if pixels.shape[2] != 1 or (slices and pixels.shape[:2] != slices[0].shape):
            first = f"{slices[0].shape} as of {paths[0].name}" if slices else "grey"
            raise UserError(f"{path}: expected slices of one shape, {first}, got {pixels.shape}")
        slices.append(pixels[..., 0].astype(np.uint16))
        places.append(_place(data))
        numbers.append(float(data.get("InstanceNumber") or 0))
        scales.add((data.get("RescaleSlope"), data.get("RescaleIntercept")))
    if window is None and len(scales) > 1:
        raise UserError(f"{folder}: slices are rescaled differently; give a window")
    keys = numbers if None in places else places
    return np.stack([slices[i] for i in np.argsort(np.array(keys, float), kind="stable")])


def _read(content: bytes, name: str, pixel_limit: int, window: Window) -> tuple[Any, Pixels]:
    """The data set, and its picture."""
    try:
        import pydicom
        from pydicom.filereader import read_dataset
        from pydicom.pixels.utils import pixel_array
    except ModuleNotFoundError:
        raise MissingPackageError(
            f"{name}: DICOM files need pydicom: pip install 'mmjax[medical]'"
        ) from None
    expected = f"{name}: expected a DICOM picture of at most {pixel_limit:,} pixels (pixel_limit)"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # values that do not agree with the standard
        try:
            head = io.BytesIO(content[132:])
            syntax = read_dataset(head, False, True, stop_when=_is_after_head).TransferSyntaxUID
            if syntax == _DEFLATED:
                raise UserError("a deflated one, which could unpack to any size")
            data = pydicom.dcmread(io.BytesIO(content))
            _check(data, pixel_limit)
        except UserError as error:
            raise UserError(f"{expected}, got {error}") from None
        except Exception as error:  # pydicom raises many kinds of errors for a damaged file
            raise UserError(f"{expected}, got a damaged one: {error!r:.300}") from error
        try:
            return data, shown(pixel_array(data), data, window)
        except UserError as error:
            raise UserError(f"{expected}, got {error}") from None
        except Exception as error:
            raise UserError(
                f"{expected}, got pixels that pydicom cannot decode ({syntax.name}): {error!s:.300}"
            ) from error


def _is_after_head(tag: Any, vr: str | None, length: int) -> bool:
    del vr, length
    return tag.group != 2


def _check(data: Any, pixel_limit: int) -> None:
    if "PixelData" not in data:
        raise UserError("a file without integer pixels, such as a report, a plan or a directory")
    rows, columns = int(data.Rows), int(data.Columns)
    if not 0 < rows * columns <= pixel_limit:
        raise UserError(f"{columns} x {rows} pixels")
    if (frames := int(data.get("NumberOfFrames") or 1)) != 1:
        raise UserError(f"{frames:,} frames; save each as a file of its own")
    if int(data.SamplesPerPixel) not in (1, 3):
        raise UserError(f"{data.SamplesPerPixel} samples a pixel")


def _place(data: Any) -> float | None:
    """The place of a slice along the normal of the slices, in millimetres."""
    try:
        place = np.array(data.ImagePositionPatient, float)
        across, down = np.array(data.ImageOrientationPatient, float).reshape(2, 3)
        found = float(place @ np.cross(across, down))
    except (AttributeError, TypeError, ValueError):
        return None
    return found if math.isfinite(found) else None
