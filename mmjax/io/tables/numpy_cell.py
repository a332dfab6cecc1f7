"""Cells from entries of NumPy arrays."""

from typing import Any

import numpy as np

from mmjax.errors import UserError
from mmjax.io.tables.row import CELL_BYTES, Cell


def check(dtype: np.dtype, shape: tuple[int, ...]) -> int:
    """The bytes of a row of an array with this type and shape `[row, ...]`.

    Raises:
        UserError: it has no first axis, rows without content, or no kind of cell.
    """
    if not shape or min(shape) < 0:
        raise UserError(f"expected an array with a first axis, got the shape {shape!s:.100}")
    if dtype.kind not in "biufSUM":
        raise UserError(
            f"expected numbers, texts or dates, got the type {dtype!s:.100}; nothing is unpickled"
        )
    size = dtype.itemsize
    for length in shape[1:]:
        size *= length
    if not 0 < size <= CELL_BYTES:
        raise UserError(f"expected rows of 1 to {CELL_BYTES:,} bytes, got {size:,}")
    return size


def cell(value: Any) -> Cell:
    """Scalars become Python's, texts str, dates ISO 8601 texts (not-a-time is None).

    Bytes are decoded as UTF-8 where they are that: NumPy and HDF5 store texts so.
    """
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return bytes(value)
    if not isinstance(value, np.ndarray | np.generic):
        return value
    if value.shape:
        texts = value.dtype.kind in "SUMO"
        return [cell(item) for item in np.asarray(value)] if texts else np.array(value)
    match value.dtype.kind:
        case "M":
            return None if np.isnat(value) else str(value)
        case "f":
            return float(value)
    return value.item()
