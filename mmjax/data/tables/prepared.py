"""A table as array_record shards on disk, in the form of TFDS, for more rows than memory holds.

Parts of the file are read and written independently, by threads or processes; a part that is
finished is not read again, so an interrupted preparation goes on where it stopped.
"""

import contextlib
import fcntl
import functools
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mmjax.data.dataset import SPLITS
from mmjax.data.pipeline.prefetch import worker_processes
from mmjax.data.tables.packing import pack
from mmjax.data.tables.reading import Reader
from mmjax.data.tables.shards import PLACE, Shards
from mmjax.io import json_file
from mmjax.io.bad_rows import Fault

NAME = "mmjax_table"
INDEX = "mmjax.json"  # written last
_ROWS, _BYTES = 2048, 2**25  # of a part, at most

Part = list[tuple[int, Any, Any]]  # (split, place, cells) of some rows


def folder(home: str | None, digest: str) -> Path:
    """The folder of a prepared table; `digest`: of what was prepared."""
    base = Path(home) if home is not None else Path.home() / "tensorflow_datasets"
    return base / NAME / digest[:16]


def is_home(home: str | None) -> bool:
    """Whether a folder holds prepared tables already."""
    return home is not None and (Path(home) / NAME).is_dir()


class Prepared(NamedTuple):
    """What a folder holds."""

    store: Shards
    numbers: np.ndarray  # the split of each row, as an index in `SPLITS`
    faults: list[Fault]
    digest: str  # of the rows and files that it was made from


def load(folder: Path) -> Prepared | None:
    """The prepared rows; None if nothing is prepared here."""
    if not (folder / INDEX).is_file():
        return None
    index = json_file.read(folder / INDEX)
    counts = [index["rows"][split] for split in SPLITS]
    files = {folder / name: count for name, count in index["files"].items()}
    numbers = np.repeat(np.arange(len(SPLITS), dtype=np.int8), counts)
    faults = [Fault(*fault) for fault in index["faults"]]
    return Prepared(Shards(files), numbers, faults, index["digest"])


def write(
    folder: Path,
    reader: Reader,
    parts: Iterable[Part],
    workers: int,
    digest: str,
    progress: Callable[[int], None],
) -> None:
    """Read all parts and write their rows.

    Args:
        workers: processes; 0: as many threads as cores
        digest: is kept with the rows
        progress: is told how many rows are finished
    """
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder), _executor(workers) as executor:
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
        read = [json_file.read(mark) for mark in marks]
        _finish(folder, list(reader.columns), read, digest)
        for mark in marks:
            mark.unlink()


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds the lock of a folder: two trainings may begin with the same table."""
    with (folder / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


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
        values[PLACE] = pack(row.place)
        writers[name].write(features.serialize_example(features.encode_example(values)))
        counts[name] += 1
    for writer in writers.values():
        writer.close()
    content = {"rows": counts, "faults": faults}
    json_file.write(folder / f"part-{number:05d}.json", content)


def _finish(
    folder: Path, names: Sequence[str], parts: Sequence[Mapping[str, Any]], digest: str
) -> None:
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
    content = {"rows": rows, "files": named, "faults": faults, "digest": digest}
    json_file.write(folder / INDEX, content)


@functools.lru_cache
def _features(names: tuple[str, ...]) -> Any:
    import tensorflow_datasets as tfds

    return tfds.features.FeaturesDict({name: tfds.features.Text() for name in (*names, PLACE)})


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
