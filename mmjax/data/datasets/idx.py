"""The IDX format of the MNIST family: gzip around a magic number, the shape, and bytes.

LeCun, Cortes and Burges 1998, http://yann.lecun.com/exdb/mnist/
"""

import gzip
import hashlib
import math
import os
import zlib

import numpy as np
from jaxtyping import UInt8

from mmjax.errors import UserError
from mmjax.io.safe_open import open_file

# Of what is unpacked; the largest of the family, EMNIST's letters and digits, has 547 MB.
BYTE_LIMIT = 600_000_000
AXIS_LIMIT = 8

_UBYTE = 0x08
_CHUNK = 1 << 20


def read_idx(
    path: str | os.PathLike[str], *, sha256: str | None = None
) -> UInt8[np.ndarray, "..."]:
    """The bytes of a gzip IDX file, in its own shape; UserError for anything else.

    `sha256` is that of the content, not of the file: mirrors compress the same content anew.
    """
    try:
        with open_file(path, f"{path}: expected a gzip file") as packed, gzip.open(packed) as file:
            head = bytes(_read(file, 4))
            if len(head) < 4 or head[:3] != bytes([0, 0, _UBYTE]):
                raise UserError(
                    f"{path}: expected an IDX file of bytes, magic number 000008.., "
                    f"got {head.hex() or 'nothing'}"
                )
            if head[3] > AXIS_LIMIT:
                raise UserError(f"{path}: expected at most {AXIS_LIMIT} axes, got {head[3]}")
            sizes = bytes(_read(file, 4 * head[3]))
            if len(sizes) < 4 * head[3]:
                raise UserError(f"{path}: expected {head[3]} axis lengths, got a file cut short")
            shape = tuple(int(n) for n in np.frombuffer(sizes, ">u4"))
            expected = math.prod(shape)
            # An empty axis makes no room for others without end: NumPy multiplies what is not 0.
            if math.prod(max(n, 1) for n in shape) > BYTE_LIMIT:
                raise UserError(
                    f"{path}: expected at most {BYTE_LIMIT:,} bytes, got the shape {shape}"
                )
            body = _read(file, expected + 1)
    except (EOFError, zlib.error) as error:
        raise UserError(f"{path}: expected whole gzip data, got a damaged file: {error}") from None
    except gzip.BadGzipFile as error:
        raise UserError(f"{path}: expected a gzip file, got {error}") from None
    if len(body) != expected:
        got = "more" if len(body) > expected else f"{len(body):,}"
        raise UserError(f"{path}: expected {expected:,} bytes for the shape {shape}, got {got}")
    if sha256 is not None:
        digest = hashlib.sha256(head + sizes)
        digest.update(body)
        got = digest.hexdigest()
        if got != sha256:
            raise UserError(
                f"{path}: expected content with the sha256 {sha256}, got {got}: "
                "another file under this name, or a damaged one"
            )
    return np.frombuffer(body, np.uint8).reshape(shape)


def _read(file: gzip.GzipFile, size: int) -> bytearray:
    """Up to `size` bytes, a chunk at a time: a damaged header may ask for more than exists."""
    found = bytearray()
    while size > 0:
        chunk = file.read(min(size, _CHUNK))
        if not chunk:
            break
        found += chunk
        size -= len(chunk)
    return found
