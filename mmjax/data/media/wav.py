"""The chunks of a WAV file, whose sizes are wrong where a stream was written.

IBM and Microsoft 1991, "Multimedia Programming Interface and Data Specifications 1.0".
"""

import struct

from mmjax.errors import UserError

PCM = (1, 3)  # codecs: integers, floats
_EXTENSIBLE = 0xFFFE  # the codec stands at the end of the format
# Written before the length is known, by ffmpeg 0xFFFFFFFF, by SoX 0x7FFFF000, by arecord 2^31.
_ENDLESS = 0x7FFF_F000


def end_of_samples(content: bytes) -> tuple[int, bytes]:
    """The codec, and the content up to the end of the samples, with its true sizes.

    A file is a header of 12 bytes and chunks: a name and a size, 4 bytes each, then `size` bytes,
    and one more where the size is odd. The samples of a stream, whose size is 0 or 2 GB and more,
    end with the file.

    Raises:
        UserError: the file is cut short, which SciPy would accept.
    """
    order = "<" if content[:4] == b"RIFF" else ">"
    place, codec, block = 12, None, 1
    while place + 8 <= len(content):
        name, size = struct.unpack_from(f"{order}4sI", content, place)
        begin, left = place + 8, len(content) - place - 8
        if name == b"data" and (
            size >= _ENDLESS or (size == 0 and not _are_chunks(content, begin, order))
        ):
            size = left - left % max(block, 1)
            head = content[:place] + struct.pack(f"{order}4sI", b"data", size)
            content = head + content[begin : begin + size]
            left = size
        if size > left:
            raise UserError(f"cut short: {left:,} of {size:,} bytes of {name!r} are left")
        place = begin + size + size % 2
        if name == b"fmt " and size >= 16:
            codec, block = _format(content[begin : begin + size], order)
        if name == b"data" and codec is not None:
            # SciPy believes the size of the whole file, too.
            return codec, content[:4] + struct.pack(f"{order}I", place - 8) + content[8:place]
    raise UserError("cut short: no format or no samples")


def _format(content: bytes, order: str) -> tuple[int, int]:
    """The codec, and the bytes of one sample of all channels."""
    codec, block = struct.unpack_from(f"{order}H10xH", content)
    if codec == _EXTENSIBLE and len(content) >= 26:
        (codec,) = struct.unpack_from(f"{order}H", content, 24)
    return codec, block


def _are_chunks(content: bytes, place: int, order: str) -> bool:
    """Whether chunks, or nothing, follow an empty one to the end of the file."""
    while place + 8 <= len(content):
        name, size = struct.unpack_from(f"{order}4sI", content, place)
        if not (name.isascii() and name.decode("ascii").isprintable()):
            return False
        place += 8 + size + size % 2
    return place >= len(content)
