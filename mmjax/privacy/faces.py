"""Faces made unrecognisable: found by OpenCV's cascade (Viola, Jones, CVPR 2001), then pixelated.

Frontal faces only: those in profile, turned, covered or small are missed.
"""

import contextlib
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from mmjax.errors import MissingPackageError

Faces = Literal["auto", "require", "off"]
_CASCADE = "haarcascade_frontalface_default.xml"
_CELLS = 6  # of a face, in each direction
_MARGIN = 0.15  # of the box, on each side
_LARGEST = 1000  # pixels of the longer side in which faces are looked for


def detector(faces: Faces) -> Any | None:
    """OpenCV's detector; None where it is off, or not installed and not required.

    Raises:
        MissingPackageError: it is required and not installed.
    """
    if faces == "off":
        return None
    with contextlib.suppress(ModuleNotFoundError, AttributeError):  # OpenCV 5 has no cascades
        import cv2

        return cv2.CascadeClassifier(str(Path(cv2.__file__).parent / "data" / _CASCADE))
    if faces == "require":
        raise MissingPackageError("--faces require: pip install 'mmjax[faces]'")
    return None


def pixelated(image: Image.Image, found_by: Any) -> tuple[Image.Image, int]:
    """The picture with its faces as a few cells of one colour, and how many there were."""
    small = image.convert("L")
    small.thumbnail((_LARGEST, _LARGEST))
    scale = image.width / small.width
    boxes = found_by.detectMultiScale(np.asarray(small), 1.1, 5)
    image = image.copy()
    for x, y, width, height in boxes:
        left, top = int((x - _MARGIN * width) * scale), int((y - _MARGIN * height) * scale)
        right = int((x + (1 + _MARGIN) * width) * scale)
        bottom = int((y + (1 + _MARGIN) * height) * scale)
        box = (max(left, 0), max(top, 0), min(right, image.width), min(bottom, image.height))
        face = image.crop(box)
        cells = face.resize((_CELLS, _CELLS), Image.Resampling.BOX)
        image.paste(cells.resize(face.size, Image.Resampling.NEAREST), box)
    return image, len(boxes)
