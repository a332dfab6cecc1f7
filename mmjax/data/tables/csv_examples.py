"""The examples in a user's CSV file: those that can be read, and what is wrong with the others."""

import csv
import os
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from mmjax.data.dataset import Examples, Source
from mmjax.data.pipeline.process_shard import among, whole
from mmjax.data.tables.csv_cells import Reader
from mmjax.data.transforms.augment import ImageAugment
from mmjax.io.rows import RowError, read_rows
from mmjax.io.safe_open import open_file

Policy = Literal["stop", "skip", "mask"]

_LABELS = {"0": 0.0, "1": 1.0, "0.0": 0.0, "1.0": 1.0}
_HEADER = ("line", "column", "outcome", "reason")


class Fault(NamedTuple):
    """What is wrong in a row, and what became of it; a line of the report."""

    line: int
    column: str  # "": the whole row
    outcome: Literal["skipped", "masked"]
    reason: str


class Row(NamedTuple):
    """A row without faults, or with a None for each faulty modality."""

    split: str
    inputs: Mapping[str, Any]
    labels: Mapping[str, float]


class Cells:
    """Reads the rows of a file; `readers` are by modality, `place` tells the split of a row."""

    def __init__(
        self,
        path: Path,
        readers: Mapping[str, Reader],
        labels: tuple[str, ...],
        place: tuple[str, Callable[[Mapping[str, str]], str]],
    ) -> None:
        self._path, self._readers, self._labels = path, readers, labels
        self._place_column, self._place = place
        # A picture with a true and a false caption is decoded, and kept, once.
        self._known: dict[tuple[str, str], Any] = {}

    def read(self, required: Collection[str], policy: Policy) -> tuple[list[Row], list[Fault]]:
        """All rows but those that are skipped, and what was wrong.

        A row without a split or a label is skipped where the policy is to mask.

        Raises:
            RowError: a bad row, where the policy is to stop; names the file, line and column.
            FileNotFoundError, ValueError: no such file, or no CSV.
        """
        rows: list[Row] = []
        faults: list[Fault] = []
        for line, cells in read_rows(self._path, required=required):
            if isinstance(cells, RowError):
                row, wrong = None, {"": cells.reason}
            else:
                row, wrong = self._row(cells)
            if wrong and policy == "stop":
                column, reason = next(iter(wrong.items()))
                where = f"column {column!r}: " if column else ""
                raise RowError(self._path, line, where + reason)
            outcome: Literal["skipped", "masked"] = "skipped"
            if row is not None and not (wrong and policy == "skip"):
                rows.append(row)
                outcome = "masked"
            faults += [Fault(line, column, outcome, reason) for column, reason in wrong.items()]
        return rows, faults

    def _row(self, cells: Mapping[str, str]) -> tuple[Row | None, dict[str, str]]:
        """None where only the whole row can be left out, and what is wrong by column."""
        wrong: dict[str, str] = {}
        split = ""
        try:
            split = self._place(cells)
        except ValueError as error:
            wrong[self._place_column] = str(error)
        for name in self._labels:
            if cells[name] not in _LABELS:
                wrong[name] = f"expected the label 0 or 1, got {cells[name]!r:.60}"
        whole = not wrong
        inputs = {}
        for name in self._readers:
            try:
                inputs[name] = self._value(name, cells[name])
            except (ValueError, OSError) as error:
                inputs[name] = None
                wrong[name] = str(error)
        if not whole:
            return None, wrong
        return Row(split, inputs, {name: _LABELS[cells[name]] for name in self._labels}), wrong

    def _value(self, name: str, cell: str) -> Any:
        """None for an empty cell, which is a missing modality."""
        if not cell:
            return None
        if (name, cell) not in self._known:
            self._known[name, cell] = self._readers[name](cell, self._path.parent)
        return self._known[name, cell]


def write_report(path: Path, faults: list[Fault]) -> None:
    """Anew and in one piece, the header alone where nothing was wrong.

    Raises:
        ValueError: in its place is something that is no report: it is never overwritten.
    """
    if os.path.lexists(path):
        expected = f"{path}: expected a report of skipped rows, or no file"
        first = ",".join(_HEADER).encode()
        with open_file(path, expected) as file:
            if file.read(len(first)) != first:
                raise ValueError(f"{expected}, got another one; choose a name for the report")
    # Processes of one training write the same report at once.
    draft = path.with_name(f".draft-{os.getpid()}-{path.name}")
    with draft.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        csv.writer(file).writerows([_HEADER, *faults])
    draft.replace(path)


class CsvSource(Source):
    """The rows of one split, in the order of the file."""

    def __init__(self, rows: list[Row], images: tuple[str, ...], augment: ImageAugment) -> None:
        self._rows, self._images, self._augment = rows, images, augment

    def __len__(self) -> int:
        return len(self._rows)

    def read(self, indices: np.ndarray, rng: np.random.Generator | None) -> Examples:
        """Rows of each modality, and the labels, 0 or 1."""
        rows = [self._rows[i] for i in indices]
        inputs = {name: [row.inputs[name] for row in rows] for name in rows[0].inputs}
        if rng is not None:
            inputs |= {name: self._augmented(name, indices, rng) for name in self._images}
        return Examples(inputs, _labels(rows))

    def columns(self) -> dict[str, list[Any]] | None:
        """All rows; None where images are augmented."""
        if self._images and self._augment != ImageAugment():
            return None
        names = self._rows[0].inputs if self._rows else ()
        return {name: [row.inputs[name] for row in self._rows] for name in names}

    def pick(
        self, indices: np.ndarray, rng: np.random.Generator
    ) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """The rows themselves; nothing is drawn."""
        rows = [self._rows[i] for i in indices]
        return dict.fromkeys(rows[0].inputs, indices), _labels(rows)

    def _augmented(
        self, name: str, indices: np.ndarray, rng: np.random.Generator
    ) -> list[np.ndarray | None]:
        # Drawn for every image of the batch: whose turn it is depends on what is missing before.
        batch = [self._rows[i].inputs[name] for i in whole(indices, rng)]
        there = np.array([image is not None for image in batch])
        images = [self._rows[i].inputs[name] for i in indices]
        if not there.any():
            return images
        own = [image for image in images if image is not None]
        stack = np.reshape(np.array(own, np.uint8), (-1, *batch[np.argmax(there)].shape))
        changed = iter(self._augment(stack, among(rng, there)))
        return [None if image is None else next(changed) for image in images]


def _labels(rows: list[Row]) -> dict[str, np.ndarray]:
    return {
        name: np.array([row.labels[name] for row in rows], np.float32) for name in rows[0].labels
    }
