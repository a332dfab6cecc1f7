"""Which rows of a table a run asks people about."""

import dataclasses
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mmjax.active import batches, strategies
from mmjax.active.reader import Reader
from mmjax.config import Experiment
from mmjax.data.dataset import Dataset
from mmjax.data.preprocessing import Preprocessing
from mmjax.data.tables.rows import Row, mark_of, read_table
from mmjax.errors import UserError
from mmjax.evaluation.predictions import chunks, table_columns
from mmjax.io import progress
from mmjax.io.tables import Cell
from mmjax.runs import folder
from mmjax.runs.restore import restore

LABELLED = 2000  # training examples that core_set keeps away from


@dataclasses.dataclass(frozen=True)
class Choice:
    """How rows are chosen.

    Attributes:
        strategy: one of `strategies.STRATEGIES`
        count: rows to offer
        balanced: whether each predicted class gets an equal share
        twins: rows nearer than this share of the median distance are offered once
        passes: with dropout on, for bald
        seed: of strategies that draw
    """

    strategy: str = "margin"
    count: int = 20
    balanced: bool = False
    twins: float = 0.05
    passes: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        strategies.require(self.strategy)
        for name, least in (("count", 1), ("passes", 2), ("twins", 0)):
            if not getattr(self, name) >= least:
                raise UserError(f"--{name}: expected {least} or more, got {getattr(self, name)}")


@dataclasses.dataclass(frozen=True)
class Offer:
    """A row that somebody is asked about."""

    row: Row
    cells: Mapping[str, Cell]  # by modality: what the table says, such as the path of a picture
    mark: str  # a hash of its values
    p: Mapping[str, float]  # the model's probability of each class, the highest first

    @property
    def guess(self) -> str:
        """The most probable class."""
        return next(iter(self.p))


def open_reader(run: Path, objective: str | None = None) -> Reader:
    """The reader of a finished run; `objective` as of `Reader`."""
    experiment, restored = folder.require(run), restore(run)
    return Reader(*restored, experiment.objectives, objective)


def offers(
    experiment: Experiment,
    reader: Reader,
    table: Path,
    choice: Choice,
    answered: Collection[str] = (),
) -> list[Offer]:
    """The rows of a table that the strategy chooses.

    Rows that were answered, that cannot be read, or that are among the examples on which the run is
    compared (validation and test) are left out; the latter two are counted on stderr.

    Args:
        experiment: of the run, with its data prepared
        reader: of the run, or of one that was fine-tuned from it
        table: any table that `mmjax predict` takes; other columns, such as labels, are not read
        choice: how rows are chosen
        answered: places of rows that were answered before
    """
    preprocessing, data = reader.preprocessing, experiment.data
    columns = table_columns(experiment, preprocessing)
    held_out = _marks(data, preprocessing)
    passes = choice.passes if choice.strategy in strategies.READS_PASSES else 0
    places, parts, faults, known = [], [], [], 0
    with progress.shown("rows") as tell:
        for part in chunks(read_table(table, preprocessing, columns)):
            faults += [row.error for row in part if row.error is not None]
            rows = [row for row in part if row.error is None and str(row.line) not in answered]
            new = [r for r in rows if mark_of(r.inputs, preprocessing.transforms) not in held_out]
            known += len(rows) - len(new)
            if new:
                places += [str(row.line) for row in new]
                parts.append(reader([row.inputs for row in new], passes))
            tell(len(places))
    for count, what in (
        (len(faults), f"cannot be read, the first: {faults[0] if faults else ''}"),
        (known, "are examples of the validation or test split, and not offered"),
    ):
        if count:
            print(f"{table}: rows that {what}: {count:,}", file=sys.stderr)
    if not places:
        raise UserError(f"{table}: has no row that could be asked about")
    p, vectors = (np.concatenate([one[i] for one in parts]) for i in (0, 1))
    drawn = np.concatenate([one.passes for one in parts], axis=1) if passes else None
    labelled = np.zeros((0, vectors.shape[1]), vectors.dtype)
    if choice.strategy == "core_set":
        labelled = reader(_training(data)).vectors
    pool = strategies.Pool(p, vectors, labelled, drawn)
    chosen = pick(pool, choice)
    wanted = {places[i]: i for i in chosen.tolist()}
    found = {str(r.line): r for r in read_table(table, preprocessing, columns, only=wanted)}
    names = {n: columns[n].names(n)[0] if n in columns else n for n in preprocessing.transforms}
    return [_offer(found[place], names, p[i], reader) for place, i in wanted.items()]


def pick(pool: strategies.Pool, choice: Choice) -> np.ndarray:
    """The rows of a pool for one batch, best first."""
    rng = np.random.default_rng(choice.seed)
    ranked = min(4 * choice.count, len(pool.p))  # so that classes and twins leave enough
    ranking = strategies.require(choice.strategy)(pool, ranked, rng)
    classes = pool.p.argmax(axis=1) if choice.balanced else None
    return batches.choose(
        ranking, choice.count, vectors=pool.vectors, classes=classes, twins=choice.twins
    )


def _offer(row: Row, names: Mapping[str, str], p: np.ndarray, reader: Reader) -> Offer:
    order = np.argsort(-p, kind="stable").tolist()
    by_name = {reader.names[i]: float(p[i]) for i in order}
    cells = {modality: row.cells.get(name) for modality, name in names.items()}
    return Offer(row, cells, mark_of(row.inputs, reader.preprocessing.transforms), by_name)


def _training(data: Dataset) -> list[dict[str, Any]]:
    """Evenly spread training examples."""
    source = data.source("train")
    rows = np.unique(np.linspace(0, len(source) - 1, min(LABELLED, len(source))).astype(int))
    return _rows(source.read(rows, None).inputs, len(rows))


def _marks(data: Dataset, preprocessing: Preprocessing) -> set[str]:
    """The marks of all examples of the validation and the test split."""
    marks = set()
    for split in ("validation", "test"):
        source = data.source(split)
        for first in range(0, len(source), 256):
            rows = np.arange(first, min(first + 256, len(source)))
            for one in _rows(source.read(rows, None).inputs, len(rows)):
                marks.add(mark_of(one, preprocessing.transforms))
    return marks


def _rows(inputs: Mapping[str, Any], count: int) -> list[dict[str, Any]]:
    return [{name: values[i] for name, values in inputs.items()} for i in range(count)]
