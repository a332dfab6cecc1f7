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

BYTE_LIMIT = 600_000_000  # unpacked; the largest of the family, in EMNIST, has 547 MB
AXIS_LIMIT = 8


def read_idx(
    path: str | os.PathLike[str], *, sha256: str | None = None
) -> UInt8[np.ndarray, "..."]:
    """The bytes of a gzip IDX file, in the file's shape.

    Args:
        sha256: of the unpacked content, because mirrors compress it again

    Raises:
        FileNotFoundError: the file does not exist.
        UserError: it is damaged, has other content, or is larger than `BYTE_LIMIT`.
    """
    try:
        with open_file(path, f"{path}: expected a gzip file") as packed, gzip.open(packed) as file:
            content = file.read(BYTE_LIMIT + 1)
    except (EOFError, zlib.error) as error:
        raise UserError(f"{path}: expected whole gzip data, got a damaged file: {error}") from None
    except gzip.BadGzipFile as error:
        raise UserError(f"{path}: expected a gzip file, got {error}") from None
    axes, start = content[3:4], 4
    if not axes or content[:3] != bytes([0, 0, 8]):
        raise UserError(
            f"{path}: expected an IDX file of bytes, magic number 000008.., "
            f"got {content[:4].hex() or 'nothing'}"
        )
    if axes[0] > AXIS_LIMIT:
        raise UserError(f"{path}: expected at most {AXIS_LIMIT} axes, got {axes[0]}")
    start += 4 * axes[0]
    if len(content) < start:
        raise UserError(f"{path}: expected {axes[0]} axis lengths, got a file cut short")
    shape = tuple(int(n) for n in np.frombuffer(content[4:start], ">u4"))
    # NumPy also refuses shapes with an empty axis beside huge ones.
    if math.prod(max(n, 1) for n in shape) > BYTE_LIMIT:
        raise UserError(f"{path}: expected at most {BYTE_LIMIT:,} bytes, got the shape {shape}")
    expected, size = math.prod(shape), len(content) - start
    if size != expected:
        got = "more" if size > expected else f"{size:,}"
        raise UserError(f"{path}: expected {expected:,} bytes for the shape {shape}, got {got}")
    if sha256 is not None and (got := hashlib.sha256(content).hexdigest()) != sha256:
        raise UserError(
            f"{path}: expected content with the sha256 {sha256}, got {got}: "
            "another file under this name, or a damaged one"
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)
