"""Rows of a table in array_record files on disk."""

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmjax.data.tables.packing import unpack
from mmjax.data.tables.reading import Row
from mmjax.data.tables.source import Store
from mmjax.errors import StorageError

PLACE = "place"  # the feature that says where a row comes from
_OPEN = 256  # files at once; systems allow 1,024 in a process


class Shards(Store):
    """Rows in array_record files; only those that are asked for are read."""

    held = False

    def __init__(self, files: Mapping[Path, int]) -> None:
        """`files`: and the number of their rows."""
        self._counts, self._files = files, list(files)
        self._ends = np.cumsum(list(files.values()))
        self._open = functools.lru_cache(_OPEN)(_reader)

    def __len__(self) -> int:
        return int(self._ends[-1])

    def size(self) -> int:
        """Bytes of the files."""
        return sum(file.stat().st_size for file in self._files if file.exists())

    def take(self, places: np.ndarray) -> Sequence[Row]:
        """Rows by their position."""
        if not len(places):
            return []
        try:
            records = self._records(places)
        except Exception as error:  # the reader raises many kinds of errors for a damaged file
            raise StorageError(
                f"{self._files[0].parent}: expected prepared rows, got {error!r:.300}; delete this "
                "folder to have it prepared anew"
            ) from error
        return [self._row(record) for record in records]

    def _row(self, record: bytes) -> Row:
        values = self._parsed(record)
        place = unpack(values.pop(PLACE))
        return Row(place, {name: unpack(value) for name, value in values.items()})

    def _records(self, places: np.ndarray) -> list[bytes]:
        numbers = np.searchsorted(self._ends, places, side="right")
        records = [b""] * len(places)
        for number in np.unique(numbers):
            wanted = np.flatnonzero(numbers == number)
            path = self._files[number]
            first = self._ends[number] - self._counts[path]
            found = self._open(path).read([int(place) for place in places[wanted] - first])
            for i, record in zip(wanted, found, strict=True):
                records[i] = record
        return records

    @functools.cached_property
    def _parsed(self) -> Callable[[bytes], dict[str, bytes]]:
        import tensorflow_datasets as tfds

        folder = str(self._files[0].parent)
        features: Any = tfds.features.FeatureConnector.from_config(folder)
        return features.deserialize_example_np

    def __reduce__(self) -> tuple:
        return Shards, (self._counts,)


def _reader(path: Path) -> Any:
    from array_record.python.array_record_module import ArrayRecordReader

    # For reading in any order, as array_record's own source of data does.
    return ArrayRecordReader(str(path), options="readahead_buffer_size:0")
