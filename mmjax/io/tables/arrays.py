"""NumPy's `.npz` and `.npy`: arrays whose first axis is the row. Nothing is unpickled.

https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
"""

import contextlib
import io
import os
import warnings
import zipfile
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.lib import format as npy

from mmjax.errors import UserError
from mmjax.io.safe_open import open_file
from mmjax.io.tables.numpy_cell import cell, check
from mmjax.io.tables.row import Format, Header, Rows

ARRAYS = 1000  # of one file


class _Column(NamedTuple):
    """An array that is read row by row, so that it never is in memory as a whole."""

    file: io.BufferedIOBase
    dtype: np.dtype
    shape: tuple[int, ...]
    row_bytes: int

    def next(self, name: str) -> Any:
        """The next row.

        Raises:
            UserError: the array is cut short.
        """
        content = self.file.read(self.row_bytes)
        if len(content) < self.row_bytes:
            raise UserError(f"expected {name!r} to have {self.shape[0]:,} rows, got fewer")
        return np.frombuffer(content, self.dtype).reshape(self.shape[1:])


def columns(path: str | os.PathLike[str], format: Format) -> Header:
    """The names of the arrays with as many rows as the longest; `values` for a `.npy` file."""
    with _open(path) as (found, others):
        remark = f"; no columns: {'; '.join(others)}" if others else ""
        return Header(list(found), remark)


def rows(path: str | os.PathLike[str], format: Format) -> Rows:
    """Rows by their number, from 1. Scalars are Python's; texts are str.

    Raises:
        UserError: the file is damaged, or has arrays of objects, or none with rows.
    """
    with _open(path) as (found, _):
        for number in range(1, next(iter(found.values())).shape[0] + 1):
            yield number, {name: cell(column.next(name)[()]) for name, column in found.items()}


@contextlib.contextmanager
def _open(path: str | os.PathLike[str]) -> Iterator[tuple[dict[str, _Column], list[str]]]:
    """The columns, and the names of the other arrays with the reasons."""
    single = os.fspath(path).lower().endswith(".npy")
    expected = f"{path}: expected a {'.npy' if single else '.npz'} file"
    found: dict[str, _Column] = {}
    others: list[str] = []
    with open_file(path, expected) as file, contextlib.ExitStack() as stack:
        try:
            for name, member in [("values", file)] if single else _members(file, stack):
                try:
                    found[name] = _column(member)
                except UserError as error:
                    others.append(f"{name}: {error}")
            length = max((column.shape[0] for column in found.values()), default=0)
            if not length:
                raise UserError(f"expected arrays with rows, got none; {'; '.join(others)}")
            others += [f"{n}: {c.shape[0]} rows" for n, c in found.items() if c.shape[0] < length]
            yield {n: c for n, c in found.items() if c.shape[0] == length}, others
        except UserError as error:
            raise UserError(f"{path}: {error}") from error
        # zipfile and the parser of headers raise many kinds of errors for damaged files.
        except Exception as error:
            raise UserError(f"{expected}, got another or a damaged one: {error!s:.300}") from error


def _members(file: io.BufferedIOBase, stack: contextlib.ExitStack) -> Iterator[tuple[str, Any]]:
    archive = stack.enter_context(zipfile.ZipFile(file))
    names = archive.namelist()
    if len(names) > ARRAYS or len(set(names)) < len(names):
        raise UserError(f"expected at most {ARRAYS} arrays, each name once, got {len(names)}")
    for info in archive.infolist():
        # zipfile bounds what it unpacks at once for these only; numpy writes no others.
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise UserError(f"expected arrays as numpy compresses them, got {info.filename!r}")
        yield info.filename.removesuffix(".npy"), stack.enter_context(archive.open(info))


def _column(file: io.BufferedIOBase) -> _Column:
    version = npy.read_magic(file)
    readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    if version not in readers:
        raise UserError(f"expected version 1 or 2 of .npy, got {version}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # headers by Python 2, and damaged ones
        shape, fortran, dtype = readers[version](file)
    row_bytes = check(dtype, shape)
    if fortran and len(shape) > 1:
        raise UserError(
            "expected an array in C order, in which rows stand one after the other, got Fortran "
            "order; save np.ascontiguousarray of it"
        )
    return _Column(file, dtype, shape, row_bytes)
