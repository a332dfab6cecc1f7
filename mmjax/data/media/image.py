"""Pictures of the usual formats, opened safely by Pillow and turned upright."""

import io
import warnings

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    ImageOps,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from mmjax.data.media.chunks import png_pixels, scans
from mmjax.data.media.source import Source, label, read_source
from mmjax.errors import UserError

BYTE_LIMIT = 500_000_000  # of a file
PIXEL_LIMIT = 50_000_000  # 150 MB when decoded to RGB
JPEG_LIMIT = 200_000_000  # of a JPEG that is decoded at a smaller size
SCAN_LIMIT = 100  # scans of a progressive JPEG, usually 10; each decodes all pixels again
_WORK_LIMIT = SCAN_LIMIT * PIXEL_LIMIT // 2  # pixels times scans

FORMATS = "PNG, JPEG, WebP, GIF, BMP, TIFF or AVIF"
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def open_image(
    source: Source,
    *,
    name: str | None = None,
    size: tuple[int, int] | None = None,
    pixel_limit: int | None = None,
) -> Image.Image:
    """Decode a picture, the first frame or page of several, and turn it upright.

    PNG, JPEG, WebP, GIF, BMP, TIFF and AVIF. 16-bit grey is kept (mode I;16); Pillow decodes 16-bit
    colour to 8 bits. Colour profiles are ignored.

    Args:
        source: a path, or the content of a file
        name: what errors call bytes
        size: the height and width that is needed; a JPEG is decoded at the smallest size, of 1,
            1/2, 1/4 and 1/8, that is at least twice as large
        pixel_limit: pixels of the file and of the decoded picture, checked before decoding; None:
            50 million, and 200 million of a JPEG file where there is a `size`

    Raises:
        FileNotFoundError: the file does not exist.
        UserError: it is damaged, of another format or too large.
    """
    file_limit = pixel_limit or PIXEL_LIMIT
    name = label(source, name, "picture")
    content = read_source(source, f"{name}: expected a {FORMATS} file", BYTE_LIMIT)
    if size and not pixel_limit and content.startswith(b"\xff\xd8"):
        file_limit = JPEG_LIMIT
    expected = f"{name}: expected a {FORMATS} image of at most {file_limit:,} pixels (pixel_limit)"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # harmless damage
        try:
            image = _parsed(content, file_limit, size)
            _check_pixels(image, pixel_limit or PIXEL_LIMIT)
            image.load()
            return upright(image)
        except UserError as error:
            raise UserError(f"{expected}, got {error}") from None
        except Exception as error:  # decoders raise many kinds of errors for a damaged header
            raise UserError(f"{expected}, got a damaged one: {error!r:.300}") from error


def upright(image: Image.Image) -> Image.Image:
    """The image rotated as its EXIF data say; unchanged where these are damaged."""
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # Pillow raises many kinds of errors for damaged EXIF data
        return image


def _parsed(content: bytes, limit: int, size: tuple[int, int] | None) -> ImageFile.ImageFile:
    """The image before its pixels are decoded; checked to have at most `limit`."""
    reader = _reader(content[:16])
    if reader is None:
        raise UserError("a file of another kind" if content else "an empty file")
    if reader is PngImagePlugin.PngImageFile:
        content = png_pixels(content)
    # Not Image.open, whose limit of pixels is one for the whole process.
    image = reader(io.BytesIO(content))
    _check_pixels(image, limit)
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        allowed = min(SCAN_LIMIT, _WORK_LIMIT // (image.width * image.height))
        if scans(content) > allowed:
            raise UserError(f"more than {allowed} scans over the pixels")
        if size:
            image.draft(None, (2 * max(size), 2 * max(size)))
    return image


def _reader(head: bytes) -> type[ImageFile.ImageFile] | None:
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return PngImagePlugin.PngImageFile
    if head.startswith(b"\xff\xd8\xff"):
        return JpegImagePlugin.JpegImageFile
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return WebPImagePlugin.WebPImageFile
    if head[:6] in (b"GIF87a", b"GIF89a"):
        return GifImagePlugin.GifImageFile
    if head[:2] == b"BM":
        return BmpImagePlugin.BmpImageFile
    if head[:4] in _TIFF:
        return TiffImagePlugin.TiffImageFile
    if head[4:12] in (b"ftypavif", b"ftypavis", b"ftypmif1"):
        return AvifImagePlugin.AvifImageFile
    return None


def _check_pixels(image: Image.Image, limit: int) -> None:
    if 0 in image.size:
        raise UserError("no pixels")
    if image.width * image.height > limit:
        raise UserError(f"{image.width} x {image.height} pixels")
