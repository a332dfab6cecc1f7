"""Pictures without EXIF, GPS, comments, thumbnails and profiles: only the pixels are written."""

import io
from typing import Any

from PIL import Image

from mmjax.data.media.image import open_image
from mmjax.data.media.source import Source
from mmjax.errors import UserError
from mmjax.privacy.faces import pixelated

_QUALITY = 95  # of JPEG files, which are compressed again


def bare(source: Source, name: str, detector: Any | None) -> tuple[bytes, str, int]:
    """The picture's file without anything but its pixels, its suffix, and the number of faces.

    JPEG files stay JPEG; all others become PNG. EXIF's orientation is applied.

    Raises:
        UserError: it cannot be read, has several frames, or is of a mode that PNG does not hold.
    """
    image = open_image(source, name=name)
    with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as file:
        lossy, frames = file.format in ("JPEG", "MPO"), getattr(file, "n_frames", 1)
    if frames != 1 and not lossy:  # a JPEG's are thumbnails and depth
        raise UserError(f"{name}: expected a picture of one frame or page, got {frames}")
    faces = 0
    if image.mode in ("P", "PA", "CMYK", "YCbCr", "LAB", "HSV"):
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    if detector is not None and not image.mode.startswith("I;16"):
        image, faces = pixelated(image, detector)
    # A new image, because Pillow writes some of what the old one holds in `info`.
    clean = Image.frombytes(image.mode, image.size, image.tobytes())
    file = io.BytesIO()
    try:
        clean.save(file, "JPEG" if lossy else "PNG", **({"quality": _QUALITY} if lossy else {}))
    except (OSError, ValueError) as error:
        raise UserError(f"{name}: expected 8 or 16 bits per channel: {error}") from error
    return file.getvalue(), ".jpg" if lossy else ".png", faces
