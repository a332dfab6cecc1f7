"""The data of a run with the answers of people: what a fine-tuning after a review trains on."""

import dataclasses
import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from mmjax.data.dataset import SPLITS, Dataset, Examples, Inputs, Place, Source, check_split
from mmjax.data.datasets.mixed import MixedSource
from mmjax.data.preprocessing import Preprocessing
from mmjax.data.share import Rng, Share
from mmjax.data.tables.rows import Row, mark_of, read_table
from mmjax.data.tables.table_data import TableData
from mmjax.errors import MissingFileError, UserError
from mmjax.io.tables import RowError, read_rows


class AnsweredSource(Source):
    """Rows of a table, each with the answer to one target."""

    def __init__(self, rows: Sequence[Row], target: str, answers: Sequence[Any]) -> None:
        self._rows, self._target, self._answers = rows, target, answers
        self._names = sorted({name for row in rows for name in row.inputs})

    def __len__(self) -> int:
        return len(self._rows)

    def read(self, indices: np.ndarray, rng: Rng | None, own: slice = slice(None)) -> Examples:
        """Values and answers; all other targets are missing."""
        chosen = indices[own].tolist()
        inputs = {name: [self._rows[i].inputs.get(name) for i in chosen] for name in self._names}
        return Examples(inputs, {self._target: [self._answers[i] for i in chosen]})


@dataclass(frozen=True)
class Reviewed(Dataset):
    """The data of a run, and rows of a table that people have answered; `mmjax review` writes it.

    `share` of the training examples are answered rows, drawn again and again; the others are
    replayed from the run's own training split, so that the model does not forget them (Robins 1995,
    doi:10.1080/09540099550039318). Validation and test stay the run's own. Answered rows are not
    augmented.
    """

    run: Mapping[str, Dataset] = field(default_factory=dict)  # the one data set of the run
    table: Place = None  # the table
    answers: Place = None  # CSV file of its answered rows: row, mark, answer
    target: str = ""  # what was asked
    share: float = 0.5  # of answered rows in the training, between 0 and 1

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise UserError(f"data.share: expected a number between 0 and 1, got {self.share}")

    @property
    def own(self) -> Dataset:
        """The data set of the run."""
        if len(self.run) != 1:
            raise UserError(f"data.run: expected one data set, got {[*self.run]}")
        return next(iter(self.run.values()))

    @property
    def shares_rows(self) -> bool:
        """Answered rows are drawn several times."""
        return True

    @property
    def perturbs(self) -> bool:
        return self.own.perturbs

    def bound(self, inputs: Collection[str], targets: Collection[str]) -> "Reviewed":
        """With the run's data complete for the model."""
        (name,) = self.run or {"": None}
        return dataclasses.replace(self, run={name: self.own.bound(inputs, targets)})

    def prepare(self) -> None:
        """Prepare the run's data and read the answered rows."""
        self.own.prepare()
        _ = self._answered

    def preprocessing(self) -> Preprocessing:
        """That of the run's data: answers change no statistics, words or classes."""
        return self.own.preprocessing()

    def facts(self) -> Mapping[str, Any]:
        """Those of the run's data; the digest is of the answers too."""
        facts = dict(self.own.facts())
        rows, answers = self._answered
        parts = [str(facts.get("digest")), *map(str, answers)]
        parts += [mark_of(row.inputs, row.inputs) for row in rows]
        count = {split: len(self.source(split)) for split in SPLITS}
        digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()
        return facts | {"rows": count, "digest": digest, "answered": len(rows)}

    def source(self, split: str) -> Source:
        """In training both in their shares; else the run's own split."""
        check_split(split)
        own = self.own.source(split)
        if split != "train":
            return own
        answered = AnsweredSource(self._answered[0], self.target, self._answered[1])
        shares = {"own": 1 - self.share, "answered": self.share}
        return MixedSource({"own": own, "answered": answered}, shares)

    def perturb(
        self, inputs: Inputs, preprocessing: Preprocessing, rng: Rng, share: Share | None = None
    ) -> Inputs:
        return self.own.perturb(inputs, preprocessing, rng, share)

    @cached_property
    def _answered(self) -> tuple[list[Row], list[Any]]:
        """The answered rows and the rows of the target; UserError where the table has changed."""
        paths = [Path(path or "") for path in (self.table, self.answers)]
        for name, path in zip(("table", "answers"), paths, strict=True):
            if not path.exists() or path == Path():
                raise MissingFileError(f"data.{name} {path}: expected a file, got none")
        preprocessing = self.preprocessing()
        kind = preprocessing.targets.get(self.target)
        if kind is None:
            choices = ", ".join(preprocessing.targets)
            raise UserError(f"data.target {self.target!r}: choose from {choices}")
        said: dict[str, tuple[str, Any]] = {}
        for line, cells in read_rows(paths[1], required=("row", "mark", "answer")):
            if isinstance(cells, RowError):
                raise cells
            try:
                value = kind.read(str(cells["answer"]))
                kind([value])
            except UserError as error:
                raise RowError(paths[1], line, str(error)) from None
            said[str(cells["row"])] = str(cells["mark"]), value
        if not said:
            raise UserError(f"{paths[1]}: expected an answered row, got none")
        columns = self.own.columns if isinstance(self.own, TableData) else {}
        columns = {name: columns[name] for name in columns if name in preprocessing.transforms}
        found = list(read_table(paths[0], preprocessing, columns, only=said))
        for row in found:
            if row.error is not None:
                raise row.error
            if mark_of(row.inputs, preprocessing.transforms) != said[str(row.line)][0]:
                raise RowError(paths[0], row.line, "is not the row that was answered")
        if lost := sorted(set(said) - {str(row.line) for row in found}):
            raise UserError(f"{paths[0]}: has no row {lost[0]}, which {paths[1]} answers")
        return found, [said[str(row.line)][1] for row in found]
