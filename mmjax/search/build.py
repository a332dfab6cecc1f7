"""Builds an index from a folder or a column of a table; only what is new or changed is embedded."""

import dataclasses
import hashlib
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mmjax.data.tables.columns.column import absent
from mmjax.data.tables.origin import contents
from mmjax.data.tables.splits import content
from mmjax.errors import MissingFileError, UserError
from mmjax.evaluation.predictions import CHUNK
from mmjax.io import progress
from mmjax.io.bad_rows import Fault
from mmjax.io.tables import Cell, RowError, base_folder, read_rows
from mmjax.search.choice import Choice, choose
from mmjax.search.embedder import Embedder
from mmjax.search.index import BETWEEN, DamagedIndexError, Index, is_own

SAVE_EVERY = 60.0  # seconds
ITEMS = 2_000_000  # of one index, whose names are one JSON file


class Built(NamedTuple):
    """An index, and what became of the rows."""

    index: Index
    embedded: int  # new or changed; the others were in the index before
    removed: int  # no longer there
    faults: list[Fault]


class Item(NamedTuple):
    """A row of the source; rows of the same file, or of the same content, are one item."""

    name: str
    text: str | None
    digest: str
    cell: Cell
    is_file: bool

    @property
    def key(self) -> tuple[str, str]:
        """Equal for rows that are one item."""
        return (self.name if self.is_file else "", self.digest)


def build(
    embedder: Embedder,
    source: Path,
    out: Path,
    *,
    modality: str | None = None,
    column: str | None = None,
) -> Built:
    """Embed every row, and write the index to `out`; an interrupted call can be repeated.

    Args:
        embedder: the run
        source: a folder, with sub-folders, or a table of any kind that `mmjax.io.tables` reads
        out: the folder of the index
        modality: of the run; None: the image modality of a folder, or else the first modality
            that the table has a column of, images before others
        column: of the table; None: the one that the run was trained on

    Raises:
        UserError: nothing to index, no such modality or column, or `out` is an index of another
            run or source.
    """
    if source.is_dir() and out.resolve().is_relative_to(source.resolve()):
        raise UserError(f"{out}: expected a folder outside of {source}, which is indexed")
    names = choose(embedder, source, modality, column)
    place = {
        "modality": names.modality,
        "source": os.path.relpath(os.path.realpath(source), os.path.realpath(out)),
        "run": os.path.relpath(os.path.realpath(embedder.run), os.path.realpath(out)),
        "mark": embedder.mark,
    }
    faults: list[Fault] = []
    draft = _Draft(embedder, _before(out, place), faults)
    base, saved = base_folder(source), time.monotonic()
    try:
        with progress.shown(f"index of {source}") as tell:
            for count, item in enumerate(_items(source, base, names, faults), start=1):
                draft.add(item, base)
                tell(count)
                if count > ITEMS:
                    raise UserError(f"{source}: expected at most {ITEMS:,} items for one index")
                if time.monotonic() - saved > SAVE_EVERY:
                    draft.index(rest=True).save(out)
                    saved = time.monotonic()
    except KeyboardInterrupt:
        draft.index(rest=True).save(out)
        raise
    index = draft.index(rest=False)
    if not len(index):
        reason = f": {faults[0].line}: {faults[0].reason}" if faults else ""
        raise UserError(
            f"{source}: expected something to index as {names.modality}, got none{reason}"
        )
    index.save(out)
    removed = len(set(draft.before.names) - set(index.names))
    return Built(index, draft.embedded, removed, faults)


class _Draft:
    """An index that grows; what the index before it has embedded is taken from there."""

    def __init__(self, embedder: Embedder, before: Index, faults: list[Fault]) -> None:
        self.before, self.embedded, self._faults = before, 0, faults
        self._embedder = embedder
        self._known = {digest: row for row, digest in enumerate(before.digests)}
        self._items: list[Item] = []
        self._texts: dict[tuple[str, str], dict[str, None]] = {}  # by item, in order
        self._vectors: list[np.ndarray | None] = []
        self._waiting: dict[int, Any] = {}  # value by place in the lists

    def add(self, item: Item, base: Path) -> None:
        """Take the item's vector from before, or read its value, to be embedded in a while."""
        texts = self._texts.get(item.key, {})
        if item.text is not None:
            texts[item.text] = None
        if item.key in self._texts:
            return
        row = self._known.get(item.digest)
        if row is None:
            try:
                value = self._embedder.read(self.before.modality, item.cell, base)
            except (ValueError, OSError) as error:
                self._skip(item, str(error))
                return
            self._waiting[len(self._items)] = value
        self._texts[item.key] = texts
        self._items.append(item)
        self._vectors.append(None if row is None else self.before.vectors[row])
        if len(self._waiting) == CHUNK:
            self._embed()

    def _embed(self) -> None:
        vectors = self._embedder(self.before.modality, list(self._waiting.values()))
        for place, vector in zip(self._waiting, vectors, strict=True):
            if np.all(np.isfinite(vector)):
                self._vectors[place] = vector
                self.embedded += 1
            else:
                self._skip(self._items[place], "its vector is not finite")
        self._waiting.clear()

    def _skip(self, item: Item, reason: str) -> None:
        self._faults.append(Fault(item.name, self.before.modality, "skipped", reason))

    def index(self, *, rest: bool) -> Index:
        """With `rest`, the items of the index before that were not reached come last."""
        self._embed()
        old = self.before
        more = set(old.digests) - {item.digest for item in self._items} if rest else ()
        rows = [row for row, digest in enumerate(old.digests) if digest in more]
        found = [
            pair for pair in zip(self._items, self._vectors, strict=True) if pair[1] is not None
        ]
        vectors = [*(vector for _, vector in found), *old.vectors[rows]]
        items = [item for item, _ in found]
        texts = [BETWEEN.join(self._texts[item.key]) or None for item in items]
        return dataclasses.replace(
            old,
            vectors=np.stack(vectors) if vectors else old.vectors[:0],
            names=[*(item.name for item in items), *(old.names[row] for row in rows)],
            texts=[*texts, *(old.texts[row] for row in rows)],
            digests=[*(item.digest for item in items), *(old.digests[row] for row in rows)],
        )


def _before(out: Path, place: Mapping[str, str]) -> Index:
    """The index that is there; an empty one if there is none."""
    try:
        before = Index.open(out)
    except (MissingFileError, DamagedIndexError):
        if out.exists() and not (out.is_dir() and all(map(is_own, out.iterdir()))):
            raise UserError(f"{out}: expected an index or a new folder, got another one") from None
        return Index(np.zeros((0, 1), np.float32), [], [], [], **place)
    for name, what in (("mark", "run"), ("modality", "modality"), ("source", "source")):
        if getattr(before, name) != place[name]:
            got = before.run if name == "mark" else getattr(before, name)
            raise UserError(
                f"{out}: is an index of another {what}, {got}; delete it or choose another -o"
            )
    return dataclasses.replace(before, run=place["run"])


def _path(cell: Cell) -> str:
    """The path in a cell that may name a file; "" if it holds none."""
    if isinstance(cell, dict) and cell.get("bytes") is None:
        cell = cell.get("path")
    return cell if isinstance(cell, str) else ""


def _items(source: Path, base: Path, names: Choice, faults: list[Fault]) -> Iterator[Item]:
    wanted = [name for name in (names.column, names.text) if name is not None]
    for place, row in read_rows(source, any_of=wanted):
        if isinstance(row, RowError):
            faults.append(Fault(place, "", "skipped", row.reason))
            continue
        cell = row.get(names.column)
        if absent(cell):
            continue
        text = row.get(names.text) if names.text else None
        path = "" if names.modality in names.texts else _path(cell)
        file = contents(base, path) if 0 < len(path) < 4096 else b""
        digest = hashlib.sha256(names.matrices + (file or content(cell))).hexdigest()
        name, shown = path if file else str(place), None if text is None else str(text)
        yield Item(name, shown, digest, cell, bool(file))
