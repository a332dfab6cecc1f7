"""From the file of a table to rows by split, fitted transforms and the report of what was read."""

import dataclasses
import hashlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mmjax.data.dataset import SPLITS
from mmjax.data.preprocessing import Preprocessing
from mmjax.data.tables import checking, origin, prepared
from mmjax.data.tables.reading import Reader, needed, require_columns
from mmjax.data.tables.shards import Shards
from mmjax.data.tables.source import Held, Store
from mmjax.data.tables.splits import UNUSED, Splits, Splitting, content
from mmjax.errors import UserError
from mmjax.io.bad_rows import Fault, first
from mmjax.io.memory import available_memory
from mmjax.io.progress import shown
from mmjax.io.tables import RowError, base_folder, read_rows

if TYPE_CHECKING:
    from mmjax.data.tables.table_data import TableData

_SAMPLE = 64  # rows by which the size of all is judged


@dataclass(frozen=True)
class Built:
    """A table that was read."""

    store: Store
    order: Mapping[str, np.ndarray]  # positions in the store, by split
    masked: Mapping[int, Sequence[str]]  # modalities whose values are not used, by position
    preprocessing: Preprocessing
    faults: Sequence[Fault]
    facts: Mapping[str, Any]  # JSON: what was read, with a digest of all rows that are used


def build(data: "TableData", *, workers: int = 0, on_disk: bool = False) -> Built:
    """Read a table.

    Args:
        workers: processes that write shards; 0: threads
        on_disk: write shards even if the rows fit into memory

    Raises:
        RowError: a row cannot be read, and the policy is to stop; names file, place and column.
        UserError: the file lacks a column, or a split has no rows.
    """
    require_columns(data.columns)
    splits, faults, source = _split(data)
    reader = Reader(data.path, base_folder(data.path), data.columns, data.on_bad_row)
    folder = prepared.folder(data.prepared, source)
    found = prepared.load(folder)
    digest = _digest(data, splits) if found is None else found.digest
    if found is None and (on_disk or _larger(data, reader, splits)):
        _prepare(data, reader, splits, folder, workers, digest)
        found = prepared.load(folder)
    store, numbers, more = found[:3] if found else _held(data, reader, splits)
    if isinstance(store, Shards) and store.size() <= _budget(data):
        store = Held(list(store))
    faults += more
    _require_rows(data, numbers, faults)
    checked = checking.load(folder, data.balance) if found else None
    if checked is None:
        checked = checking.check(data, reader, store, numbers, splits, faults)
        if found:
            checking.save(folder, checked, data.balance)
    faults += checked.faults
    numbers[list(checked.unused)] = UNUSED
    _require_rows(data, numbers, faults)
    if all(isinstance(fault.line, int) for fault in faults):
        faults.sort(key=lambda fault: fault.line)
    facts = {**checked.facts, "digest": digest}
    order = {name: np.flatnonzero(numbers == number) for number, name in enumerate(SPLITS)}
    return Built(store, order, checked.masked, checked.preprocessing, faults, facts)


def cells_of(data: "TableData") -> Iterator[tuple[int | str, Mapping[str, Any] | RowError]]:
    """The place and the needed cells of every row, or its error."""
    names = needed(data.columns, (data.split, data.group))
    for place, cells in read_rows(data.path, format=data.format, required=names):
        yield place, cells if isinstance(cells, RowError) else {n: cells[n] for n in names}


def _split(data: "TableData") -> tuple[Splits, list[Fault], str]:
    """The split of every row; what is wrong with it; and what the rows are prepared under.

    That covers cells, and sizes and times of the files that they name, but reads no file.
    """
    splitting = Splitting(data.rule)
    faults, place = [], None
    wanted = data.subset_ids
    left = set(wanted or ())
    digest = hashlib.sha256(repr((data.columns, data.rule, data.on_bad_row)).encode())
    base = base_folder(data.path)
    files = origin.file_columns(data.columns)
    for name in origin.matrices(data.columns):
        digest.update(origin.state(base, name))
    with shown("looking at the rows") as tell:
        for number, (place, cells) in enumerate(cells_of(data)):
            tell(number)
            left.discard(str(place))
            if wanted is not None and str(place) not in wanted:
                splitting.add(None)
                continue
            if isinstance(cells, RowError):
                if data.on_bad_row == "stop":
                    raise cells
                faults.append(Fault(place, "", "skipped", cells.reason))
                splitting.add(None)
                continue
            try:
                splitting.add(cells)
            except UserError as error:
                if data.on_bad_row == "stop":
                    raise RowError(data.path, place, f"column {data.split!r}: {error}") from None
                faults.append(Fault(place, data.split or "", "skipped", str(error)))
                splitting.add(None)
            digest.update(content(dict(cells)))
            for name in files:
                digest.update(origin.state(base, cells[name]))
    if left:
        raise UserError(
            f"{data.subset}: {len(left):,} of its lines are no rows of {data.path}, such as "
            f"{min(left)!r:.60}; the place of the last row is {place!r}"
        )
    return splitting.result(), faults, digest.hexdigest()


def _digest(data: "TableData", splits: Splits) -> str:
    """A hash of the used rows and their files."""
    with shown("looking at the files", sum(splits.counts.values())) as tell:
        used = ((split, cells) for split, _, cells in _used(data, splits))
        rows = (row for number, row in enumerate(used) if not tell(number))
        return origin.digest(base_folder(data.path), data.columns, rows)


def _larger(data: "TableData", reader: Reader, splits: Splits) -> bool:
    """Whether the rows take more memory than they may, judged by the first ones."""
    count, sizes = sum(splits.counts.values()), []
    for split, (place, cells) in zip(splits.of_row, cells_of(data), strict=False):
        if split != UNUSED and not isinstance(cells, RowError):
            row, _ = dataclasses.replace(reader, policy="skip")(place, cells)
            sizes += [len(content(dict(row.values)))] if row is not None else []
        if len(sizes) == _SAMPLE:
            break
    return bool(sizes) and count * float(np.mean(sizes)) > _budget(data)


def _budget(data: "TableData") -> float:
    """Bytes that the rows may take in memory."""
    return available_memory() / 4 if data.memory is None else data.memory * 1e9


def _used(data: "TableData", splits: Splits) -> Iterator[tuple[int, Any, Any]]:
    """(split, place, cells) of the rows that are used."""
    for split, (place, cells) in zip(splits.of_row, cells_of(data), strict=True):
        if split != UNUSED:
            yield int(split), place, cells


def _held(
    data: "TableData", reader: Reader, splits: Splits
) -> tuple[Store, np.ndarray, list[Fault]]:
    """All rows in memory; those that share a file share its value."""
    reader = dataclasses.replace(reader, keep_all=True)
    rows, numbers, faults = [], [], []
    with shown("reading the rows", sum(splits.counts.values())) as tell:
        for split, place, cells in _used(data, splits):
            row, new = reader(place, cells)
            faults += new
            if row is not None:
                rows.append(row)
                numbers.append(split)
            tell(len(rows))
    return Held(rows), np.array(numbers, np.int8), faults


def _prepare(
    data: "TableData", reader: Reader, splits: Splits, folder: Path, workers: int, digest: str
) -> None:
    """Write all rows to shards."""
    _require_rows(data, splits.of_row)
    print(f"writing the rows to {folder}, once; they are kept for later", file=sys.stderr)
    parts = prepared.split_into_parts(_used(data, splits))
    with shown("preparing the rows", sum(splits.counts.values())) as tell:
        prepared.write(folder, reader, parts, workers, digest, tell)


def _require_rows(data: "TableData", numbers: np.ndarray, faults: Sequence[Fault] = ()) -> None:
    counts = {split: int(np.sum(numbers == number)) for number, split in enumerate(SPLITS)}
    if not all(counts.values()):
        raise UserError(
            f"{data.path}: expected rows in every split, got {counts}. Rows that share a "
            "file or a --data.group are never divided; --data.split names a column that says which "
            f"row is of which{first([fault for fault in faults if fault.outcome == 'skipped'])}"
        )
