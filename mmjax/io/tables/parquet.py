"""Parquet, https://parquet.apache.org, by pyarrow: typed cells, read in batches of rows."""

import datetime
import decimal
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from mmjax.errors import MissingPackageError, UserError
from mmjax.io.safe_open import open_file
from mmjax.io.tables.row import Cell, Format, Header, Rows

BATCH_ROWS = 1000
BATCH_BYTES = 16_000_000  # if all rows are alike
WORST_BYTES = 200_000_000  # if each value is as large as all of its column in a row group


def columns(path: str | os.PathLike[str], format: Format) -> Header:
    """The names of the top-level columns."""
    with open_file(path, f"{path}: expected a Parquet file") as binary:
        return Header(_open(path, binary)[1])


def rows(path: str | os.PathLike[str], format: Format) -> Rows:
    """Rows by their number, from 1.

    Dates and times become ISO 8601 texts, durations seconds, decimals floats, structs dicts.
    Fixed-size lists of numbers and lists of floats, nested or not, become arrays if they are
    rectangular (a missing float is NaN); other lists stay lists.

    Raises:
        MissingPackageError: pyarrow is not installed.
        UserError: the file is damaged.
    """
    with open_file(path, f"{path}: expected a Parquet file") as binary:
        file, _ = _open(path, binary)
        number = 0
        for batch in _batches(path, file):
            for row in batch:
                number += 1
                yield number, row


def _open(path: str | os.PathLike[str], binary: Any) -> tuple[Any, list[str]]:
    """The file, and the names of its columns."""
    try:
        from pyarrow import parquet
    except ModuleNotFoundError:
        raise MissingPackageError(
            f"{path}: Parquet needs an extra: pip install 'mmjax[parquet]'"
        ) from None
    try:
        # Without `pre_buffer`, row groups are not held whole.
        file = parquet.ParquetFile(binary, pre_buffer=False, buffer_size=2**20)
        return file, file.schema_arrow.names
    except Exception as error:  # pyarrow's own, OSError, MemoryError: whatever the header claims
        raise _damaged(path, error) from error


def _batch_rows(metadata: Any) -> int:
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    chunks = [group.column(number) for group in groups for number in range(group.num_columns)]
    total = sum(chunk.total_uncompressed_size for chunk in chunks)
    row_bytes = max(total, 1) // max(metadata.num_rows, 1) + 1
    # A long text that is stored once, in a dictionary, may be the value of every row.
    worst = [c.total_uncompressed_size for c in chunks if c.has_dictionary_page]
    return max(1, min(BATCH_ROWS, BATCH_BYTES // row_bytes, WORST_BYTES // max([1, *worst])))


def _damaged(path: str | os.PathLike[str], error: Exception) -> UserError:
    return UserError(
        f"{path}: expected a Parquet file, got another or a damaged one: {error!s:.300}"
    )


def _batches(path: str | os.PathLike[str], file: Any) -> Iterator[list[dict[str, Cell]]]:
    try:
        for batch in file.iter_batches(batch_size=_batch_rows(file.metadata)):
            cells = [_cells(column) for column in batch.columns]
            names = batch.schema.names
            yield [dict(zip(names, row, strict=True)) for row in zip(*cells, strict=True)]
    except Exception as error:
        raise _damaged(path, error) from error


def _cells(column: Any) -> list[Cell]:
    import pyarrow as pa

    kind = column.type
    if isinstance(kind, pa.FixedShapeTensorType) and not column.null_count:
        return list(column.to_numpy_ndarray())
    if isinstance(kind, pa.BaseExtensionType):
        return _cells(column.storage)
    if isinstance(column, pa.DictionaryArray):
        values = _cells(column.dictionary)
        return [None if i is None else values[i] for i in column.indices.to_pylist()]
    if pa.types.is_timestamp(kind) and kind.unit == "ns":  # Python's have microseconds
        column = column.cast(pa.timestamp("us", kind.tz), safe=False)
    if pa.types.is_duration(kind) and kind.unit == "ns":
        column = column.cast(pa.duration("us"), safe=False)
    fixed, leaf = False, kind
    while (
        pa.types.is_list(leaf) or pa.types.is_large_list(leaf) or pa.types.is_fixed_size_list(leaf)
    ):
        fixed, leaf = pa.types.is_fixed_size_list(leaf), leaf.value_type
    numbers = pa.types.is_floating(leaf) or (fixed and pa.types.is_integer(leaf))
    if leaf is not kind and numbers:
        dtype = leaf.to_pandas_dtype()
        return [_array(scalar, dtype) for scalar in column]
    return [_plain(value) for value in column.to_pylist()]


def _array(scalar: Any, dtype: Any) -> Cell:
    if not scalar.is_valid:
        return None
    numbers = scalar.values
    if numbers.type.num_fields == 0 and not numbers.null_count:  # not nested
        return np.array(numbers.to_numpy(zero_copy_only=False))
    value = scalar.as_py()
    try:
        return np.array(value, dtype)
    except (TypeError, ValueError):  # ragged, or with missing elements
        return value


def _plain(value: Any) -> Cell:
    match value:
        case dict():
            return {key: _plain(item) for key, item in value.items()}
        case list():
            return [_plain(item) for item in value]
        case tuple():  # the pairs of a map
            return [_plain(item) for item in value]
        case datetime.date() | datetime.time():
            return value.isoformat()
        case datetime.timedelta():
            return value.total_seconds()
        case decimal.Decimal():
            return float(value)
    return value
