"""A table as array_record shards on disk, in the form of TFDS, for more rows than memory holds.

Parts of the file are read and written independently, by threads or processes; a part that is
finished is not read again, so an interrupted preparation goes on where it stopped.
"""

import fcntl
import functools
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from mmjax.data.dataset import SPLITS
from mmjax.data.pipeline.prefetch import worker_processes
from mmjax.data.tables.packing import pack, unpack
from mmjax.data.tables.reading import Reader, Row
from mmjax.data.tables.source import Store
from mmjax.errors import StorageError
from mmjax.io import json_file
from mmjax.io.bad_rows import Fault

NAME = "mmjax_table"
INDEX = "mmjax.json"  # written last
_PLACE = "place"
_ROWS, _BYTES = 2048, 2**25  # of a part, at most
_OPEN = 256  # files at once; systems allow 1,024 in a process

Part = list[tuple[int, Any, Any]]  # (split, place, cells) of some rows


def folder(home: str | None, digest: str) -> Path:
    """The folder of a prepared table; `digest`: of what was prepared."""
    base = Path(home) if home is not None else Path.home() / "tensorflow_datasets"
    return base / NAME / digest[:16]


def load(folder: Path) -> tuple["Shards", np.ndarray, list[Fault]] | None:
    """The prepared rows, the split of each, and the faults; None if nothing is prepared here."""
    if not (folder / INDEX).is_file():
        return None
    index = json_file.read(folder / INDEX)
    counts = [index["rows"][split] for split in SPLITS]
    files = {folder / name: count for name, count in index["files"].items()}
    numbers = np.repeat(np.arange(len(SPLITS), dtype=np.int8), counts)
    return Shards(files), numbers, [Fault(*fault) for fault in index["faults"]]


def write(
    folder: Path,
    reader: Reader,
    parts: Iterable[Part],
    workers: int,
    progress: Callable[[int], None],
) -> None:
    """Read all parts and write their rows.

    Args:
        workers: processes; 0: as many threads as cores
        progress: is told how many rows are finished
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as file, _executor(workers) as executor:
        fcntl.flock(file, fcntl.LOCK_EX)  # two trainings may begin with the same table
        if (folder / INDEX).is_file():
            return
        marks, rows, pending = [], 0, []
        for number, part in enumerate(parts):
            mark = folder / f"part-{number:05d}.json"
            if not mark.is_file():
                pending.append(executor.submit(_write, folder, number, reader, part))
            marks.append(mark)
            rows += len(part)
            # Few at a time: parts hold cells, some of which are whole pictures.
            while len(pending) > (workers or os.cpu_count() or 1):
                pending.pop(0).result()
                progress(rows)
        for future in pending:
            future.result()
        _finish(folder, list(reader.columns), [json_file.read(mark) for mark in marks])
        for mark in marks:
            mark.unlink()


def _executor(workers: int) -> Executor:
    return worker_processes(workers) if workers else ThreadPoolExecutor(os.cpu_count())


def _write(folder: Path, number: int, reader: Reader, part: Part) -> None:
    """Read a part, write a file for each of its splits, then the mark that it is finished."""
    from array_record.python.array_record_module import ArrayRecordWriter

    features = _features(tuple(reader.columns))
    writers, counts, faults = {}, dict.fromkeys(SPLITS, 0), []
    for split, place, cells in part:
        row, new = reader(place, cells)
        faults += new
        if row is None:
            continue
        name = SPLITS[split]
        if name not in writers:
            path = folder / f"part-{number:05d}.{name}"
            writers[name] = ArrayRecordWriter(str(path), "group_size:1")
        values = {key: pack(value) for key, value in row.values.items()}
        values[_PLACE] = pack(row.place)
        writers[name].write(features.serialize_example(features.encode_example(values)))
        counts[name] += 1
    for writer in writers.values():
        writer.close()
    content = {"rows": counts, "faults": faults}
    json_file.write(folder / f"part-{number:05d}.json", content)


def _finish(folder: Path, names: Sequence[str], parts: Sequence[Mapping[str, Any]]) -> None:
    """Name the files as TFDS does, and write its metadata and the index."""
    import tensorflow_datasets as tfds

    files: dict[Path, int] = {}  # and their rows
    infos = []
    place: Any = str(folder)  # TFDS takes it, and says that it takes paths of its own kind only
    template = tfds.core.ShardedFileTemplate(
        data_dir=place, dataset_name=NAME, filetype_suffix="array_record"
    )
    for split in SPLITS:
        counts = {n: part["rows"][split] for n, part in enumerate(parts) if part["rows"][split]}
        if not counts:
            continue  # every row of it was skipped
        own = template.replace(split=split)
        for shard, number in enumerate(counts):
            final = Path(own.sharded_filepath(shard_index=shard, num_shards=len(counts)))
            draft = folder / f"part-{number:05d}.{split}"
            if draft.exists():
                draft.replace(final)
            files[final] = counts[number]
        infos.append(
            tfds.core.SplitInfo(
                name=split,
                shard_lengths=list(counts.values()),
                num_bytes=sum(path.stat().st_size for path in list(files)[-len(counts) :]),
                filename_template=own,
            )
        )
    tfds.folder_dataset.write_metadata(
        data_dir=str(folder),
        features=_features(tuple(names)),
        split_infos=infos,
        filename_template=template,
        check_data=False,  # needs TensorFlow
    )
    rows = {split: sum(part["rows"][split] for part in parts) for split in SPLITS}
    faults = [fault for part in parts for fault in part["faults"]]
    named = {path.name: count for path, count in files.items()}
    content = {"rows": rows, "files": named, "faults": faults}
    json_file.write(folder / INDEX, content)


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
        place = unpack(values.pop(_PLACE))
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


@functools.lru_cache
def _features(names: tuple[str, ...]) -> Any:
    import tensorflow_datasets as tfds

    return tfds.features.FeaturesDict({name: tfds.features.Text() for name in (*names, _PLACE)})


def split_into_parts(rows: Iterable[tuple[int, Any, Any]]) -> Iterator[Part]:
    """Parts of rows that are read together; fewer rows where cells are whole files."""
    part, size = [], 0
    for row in rows:
        part.append(row)
        size += sum(map(_size, row[2].values()))
        if len(part) == _ROWS or size > _BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part


def _size(cell: Any) -> int:
    return cell.nbytes if isinstance(cell, np.ndarray) else sys.getsizeof(cell)
