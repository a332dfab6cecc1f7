"""The parts of PNG and JPEG files, without decoding them.

PNG: ISO/IEC 15948, https://www.w3.org/TR/png. JPEG: ITU-T T.81, appendix B.
"""

import re
import struct
import zlib

from mmjax.errors import UserError

_KEPT = (b"IHDR", b"PLTE", b"tRNS", b"eXIf", b"IDAT", b"IEND")
_MARKER = re.compile(rb"\xff+([^\x00\xff])")
_NO_LENGTH = (0x01, 0xD8, *range(0xD0, 0xD8))  # temporary, start of image, restart


def png_pixels(content: bytes) -> bytes:
    """A PNG file of the pixels, the palette and the EXIF data alone.

    Texts and colour profiles, which Pillow refuses above 1 MiB, are left out, never unpacked.

    Raises:
        UserError: a chunk is cut short or does not agree with its checksum.
    """
    parts, place, view = [content[:8]], 8, memoryview(content)
    while parts[-1][4:8] != b"IEND":
        if place + 8 > len(content):
            raise UserError("a damaged one: cut short")
        size, kind = struct.unpack_from(">I4s", content, place)
        end = place + 12 + size
        if end - 4 > len(content) or (end > len(content) and kind != b"IEND"):
            raise UserError(f"a damaged one: cut short in {kind!r}")
        if end <= len(content) and content[end - 4 : end] != struct.pack(
            ">I", zlib.crc32(view[place + 4 : end - 4])
        ):
            raise UserError(f"a damaged one: the checksum of {kind!r} does not agree")
        if kind in _KEPT:
            parts.append(content[place:end])
        place = end
    return b"".join(parts)


def scans(content: bytes) -> int:
    """The number of scans over the pixels of a JPEG file, up to its end mark."""
    count, place = 0, 2
    while mark := _MARKER.search(content, place):
        place, kind = mark.end(), mark[1][0]
        if kind == 0xD9:  # the end of the image
            break
        if kind in _NO_LENGTH:
            continue
        count += kind == 0xDA
        if place + 2 > len(content):
            break
        place += struct.unpack_from(">H", content, place)[0]
    return count
