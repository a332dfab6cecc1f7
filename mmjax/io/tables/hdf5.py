"""HDF5, https://www.hdfgroup.org, by h5py: datasets of the root whose first axis is the row."""

import contextlib
import math
import os
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from mmjax.errors import MissingPackageError, UserError
from mmjax.io.safe_open import open_file
from mmjax.io.tables.numpy_cell import cell, check
from mmjax.io.tables.row import CELL_BYTES, Format, Header, Rows

BATCH_ROWS = 1000
BATCH_BYTES = 16_000_000
_STORED = np.dtype([("length", "<u4"), ("heap", "<u8"), ("number", "<u4")])
CACHE_BYTES = 64_000_000  # of decompressed chunks, of each dataset


def columns(path: str | os.PathLike[str], format: Format) -> Header:
    """The names of the datasets with as many rows as the longest."""
    with _open(path) as (found, others, _):
        remark = f"; no columns: {'; '.join(others)}" if others else ""
        return Header(list(found), remark)


def rows(path: str | os.PathLike[str], format: Format) -> Rows:
    """Rows by their number, from 1. Scalars are Python's; texts are str.

    Links to other files and virtual datasets are not followed.

    Raises:
        MissingPackageError: h5py is not installed.
        UserError: the file is damaged, or has no such datasets.
    """
    with _open(path) as (found, _, size):
        length = len(next(iter(found.values())))
        for first in range(0, length, size):
            parts = {name: dataset[first : first + size] for name, dataset in found.items()}
            for offset in range(min(size, length - first)):
                row = {name: cell(part[offset]) for name, part in parts.items()}
                yield first + offset + 1, row


@contextlib.contextmanager
def _open(path: str | os.PathLike[str]) -> Iterator[tuple[dict[str, Any], list[str], int]]:
    """The columns, the other names with the reason, and how many rows to read at once."""
    try:
        import h5py
    except ModuleNotFoundError:
        raise MissingPackageError(
            f"{path}: HDF5 needs an extra: pip install 'mmjax[hdf5]'"
        ) from None
    expected = f"{path}: expected an HDF5 file"
    open_file(path, expected).close()
    found: dict[str, Any] = {}
    others: list[str] = []
    row_bytes = 0
    try:
        with h5py.File(path, "r", rdcc_nbytes=CACHE_BYTES) as file:
            for name in map(str, file):
                try:
                    if not isinstance(file.get(name, getlink=True), h5py.HardLink):
                        raise UserError("expected a dataset, got a link")
                    row_bytes += _check(file[name], path)
                    found[name] = file[name]
                except UserError as error:
                    others.append(f"{name}: {error}")
            length = max((len(dataset) for dataset in found.values()), default=0)
            if not length:
                raise UserError(
                    f"expected datasets with rows in the root, got none; {'; '.join(others)}"
                )
            others += [f"{n}: {len(d)} rows" for n, d in found.items() if len(d) < length]
            found = {n: d for n, d in found.items() if len(d) == length}
            yield found, others, max(1, min(BATCH_ROWS, BATCH_BYTES // max(1, row_bytes)))
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    except Exception as error:  # h5py raises many kinds of errors for damaged files
        raise UserError(f"{expected}, got another or a damaged one: {error!s:.300}") from error


def _check(dataset: Any, path: str | os.PathLike[str]) -> int:
    """The bytes of a row; of the longest, where they differ."""
    import h5py

    if not isinstance(dataset, h5py.Dataset):
        raise UserError("expected a dataset, got a group")
    if not dataset.shape:
        raise UserError("expected an array with a first axis, got a scalar")
    if dataset.is_virtual or dataset.external:
        raise UserError(
            "expected its content in the file itself, got a virtual or external dataset"
        )
    if not dataset.id.get_storage_size():
        raise UserError("expected content, got a dataset that was never written")
    if math.prod(dataset.chunks or ()) * dataset.dtype.itemsize > CELL_BYTES:
        raise UserError(f"expected chunks of at most {CELL_BYTES:,} bytes")
    text = h5py.check_string_dtype(dataset.dtype)
    ragged = None if text else h5py.check_vlen_dtype(dataset.dtype)
    row_bytes = 0 if text else check(ragged or dataset.dtype, dataset.shape)
    if not ragged and not (text and text.length is None):
        return max(row_bytes, dataset.dtype.itemsize)
    # HDF5 asks for the memory that a value's length names before it looks for the value, and
    # follows sizes of 0 in a heap for ever.
    values = np.concatenate(list(_stored(dataset, path)))
    lengths = values["length"].astype(np.int64) * (ragged.itemsize if ragged else 1)
    if lengths.sum() > os.path.getsize(path):
        raise UserError(f"expected {lengths.sum():,} bytes of values, got a smaller file")
    _check_heaps(path, np.unique(values["heap"][lengths > 0]), dataset.file.userblock_size)
    return max(row_bytes, int(lengths.max(initial=0)))


def _check_heaps(path: str | os.PathLike[str], places: np.ndarray, base: int) -> None:
    """Raise a UserError unless the objects of these global heaps lie within them."""
    with open(path, "rb") as file:
        for place in places.tolist():
            if base + place >= os.path.getsize(path):
                raise UserError("expected values in the file, got a place outside of it")
            file.seek(base + place)
            head = file.read(16)
            size = int.from_bytes(head[8:], "little")
            heap = file.read(size - 16) if head[:4] == b"GCOL" and 16 <= size < 2**32 else b""
            at = 0
            while at + 16 <= len(heap):
                number, length = struct.unpack_from("<H6xQ", heap, at)
                step = 16 + -(-length // 8) * 8 if number else length  # 0: what is free
                if not 0 < step <= len(heap) - at:
                    raise UserError("expected values in a heap, got a damaged one")
                at += step
            if len(heap) != size - 16 or not heap:
                raise UserError("expected values in a heap, got a damaged one")


def _stored(dataset: Any, path: str | os.PathLike[str]) -> Iterator[np.ndarray]:
    """What the file stores at the places of values of variable length, part by part.

    How many elements they have, and the address of the heap and the number in it of the value.
    """
    stored, filters = dataset.id, dataset.id.get_create_plist()
    size = _STORED.itemsize
    if dataset.file.id.get_create_plist().get_sizes() != (8, 8):
        raise UserError("expected addresses and sizes of 8 bytes")

    if dataset.chunks is None:
        if not (offset := stored.get_offset()):
            raise UserError("expected variable lengths in a contiguous or chunked dataset")
        with open(path, "rb") as file:
            file.seek(offset)
            yield np.frombuffer(file.read(dataset.size * size), _STORED)
        return
    names = [filters.get_filter(index)[3] for index in range(filters.get_nfilters())]
    if names not in ([], [b"deflate"], [b"shuffle", b"deflate"]):
        raise UserError("expected variable lengths uncompressed, or by gzip")
    chunk_bytes = math.prod(dataset.chunks) * size
    for index in range(stored.get_num_chunks()):
        skipped, content = stored.read_direct_chunk(stored.get_chunk_info(index).chunk_offset)
        done = [name for bit, name in enumerate(names) if not skipped >> bit & 1]
        if b"deflate" in done:
            content = zlib.decompressobj().decompress(content, chunk_bytes)
        if b"shuffle" in done:
            content = np.frombuffer(content, np.uint8).reshape(size, -1).T.tobytes()
        yield np.frombuffer(content, _STORED)
