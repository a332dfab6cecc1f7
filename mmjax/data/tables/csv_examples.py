"""The examples in a user's CSV file: those that can be read, and what is wrong with the others."""

import hashlib
import json
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from mmjax.data.dataset import Examples, Source
from mmjax.data.share import Share
from mmjax.data.tables.csv_cells import Reader
from mmjax.data.transforms.augment import ImageAugment
from mmjax.io.bad_rows import Fault
from mmjax.io.rows import RowError, read_rows

Policy = Literal["stop", "skip", "mask"]


class Row(NamedTuple):
    """A row without faults, or with a None for each faulty modality."""

    line: int
    split: str
    inputs: Mapping[str, Any]
    targets: Mapping[str, Any]


class Cells:
    """Reads the rows of a file; `readers` are by modality, `targets` by target.

    `place` is the column that tells the split of a row, and the function that reads it.
    """

    def __init__(
        self,
        path: Path,
        readers: Mapping[str, Reader],
        targets: Mapping[str, Callable[[str], Any]],
        place: tuple[str, Callable[[Mapping[str, str]], str]],
    ) -> None:
        self._path, self._readers, self._targets = path, readers, targets
        self._place_column, self._place = place
        # A picture with a true and a false caption is decoded, and kept, once.
        self._known: dict[tuple[str, str], Any] = {}

    def read(self, required: Collection[str], policy: Policy) -> tuple[list[Row], list[Fault]]:
        """All rows but those that are skipped, and what was wrong.

        An empty cell is a missing modality or target. A row with a wrong split or target is skipped
        where the policy is to mask.

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
                row, wrong = self._row(line, cells)
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

    def _row(self, line: int, cells: Mapping[str, str]) -> tuple[Row | None, dict[str, str]]:
        """None where only the whole row can be left out, and what is wrong by column."""
        wrong: dict[str, str] = {}
        split = ""
        try:
            split = self._place(cells)
        except ValueError as error:
            wrong[self._place_column] = str(error)
        targets = {}
        for name, read in self._targets.items():
            try:
                targets[name] = read(cells[name]) if cells[name].strip() else None
            except ValueError as error:
                wrong[name] = str(error)
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
        return Row(line, split, inputs, targets), wrong

    def _value(self, name: str, cell: str) -> Any:
        """None for an empty cell, which is a missing modality."""
        if not cell:
            return None
        if (name, cell) not in self._known:
            self._known[name, cell] = self._readers[name](cell, self._path.parent)
        return self._known[name, cell]


class CsvSource(Source):
    """The rows of one split, in the order of the file."""

    def __init__(self, rows: list[Row], images: tuple[str, ...], augment: ImageAugment) -> None:
        self._rows, self._images, self._augment = rows, images, augment

    def __len__(self) -> int:
        return len(self._rows)

    def read(
        self, indices: np.ndarray, rng: np.random.Generator | None, own: slice = slice(None)
    ) -> Examples:
        """Rows of each modality and of each target."""
        rows = [self._rows[i] for i in indices[own]]
        inputs = {name: [row.inputs[name] for row in rows] for name in rows[0].inputs}
        if rng is not None:
            inputs |= {name: self._augmented(name, indices, rng, own) for name in self._images}
        return Examples(inputs, _targets(rows))

    def columns(self) -> dict[str, list[Any]] | None:
        """All rows; None where images are augmented."""
        if self._images and self._augment != ImageAugment():
            return None
        names = self._rows[0].inputs if self._rows else ()
        return {name: [row.inputs[name] for row in self._rows] for name in names}

    def pick(
        self, indices: np.ndarray, rng: np.random.Generator, own: slice = slice(None)
    ) -> tuple[dict[str, np.ndarray], dict[str, list[Any]]]:
        """The rows themselves; nothing is drawn."""
        del rng
        rows = [self._rows[i] for i in indices[own]]
        return dict.fromkeys(rows[0].inputs, indices[own]), _targets(rows)

    def _augmented(
        self, name: str, indices: np.ndarray, rng: np.random.Generator, own: slice
    ) -> list[np.ndarray | None]:
        present = np.array([self._rows[i].inputs[name] is not None for i in indices])
        images = [self._rows[i].inputs[name] for i in indices[own]]
        if not present.any():
            return images
        # Changes are drawn for every image of the batch: those present before and within the share.
        before = int(np.sum(present[: own.indices(len(indices))[0]]))
        stack = [image for image in images if image is not None]
        share = Share(int(np.sum(present)), slice(before, before + len(stack)))
        shape = self._rows[indices[np.argmax(present)]].inputs[name].shape
        changed = iter(
            self._augment(np.reshape(np.array(stack, np.uint8), (-1, *shape)), rng, share)
        )
        return [None if image is None else next(changed) for image in images]


def _targets(rows: list[Row]) -> dict[str, list[Any]]:
    return {name: [row.targets[name] for row in rows] for name in rows[0].targets}


def drawn_split(alike: Any, shares: tuple[float, float]) -> str:
    """The split of rows that are `alike`: as good as drawn, the same for ever whatever is added."""
    bits = hashlib.sha256(json.dumps(alike).encode()).digest()[:8]
    drawn = int.from_bytes(bits, "big") / 2**64
    validation, test = shares
    if drawn < validation:
        return "validation"
    return "test" if drawn < validation + test else "train"
