"""The targets of a user's CSV file: how their cells are read, and what is fitted to them."""

import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from mmjax.data.tables.csv_examples import Row
from mmjax.data.targets import Binary, Category, MultiLabel, Number, Target
from mmjax.errors import UserError
from mmjax.io.rows import RowError


class Columns(NamedTuple):
    """The columns of a file that are targets, by their kind."""

    path: Path  # the file
    labels: tuple[str, ...]
    classes: tuple[str, ...]
    multi_labels: tuple[str, ...]
    numbers: tuple[str, ...]
    unknown_class: Literal["error", "missing"]

    @property
    def names(self) -> tuple[str, ...]:
        """All of them."""
        return self.labels + self.classes + self.multi_labels + self.numbers


def target_readers(columns: Columns) -> dict[str, Callable[[str], Any]]:
    """{column: what reads a cell}, before anything is fitted."""
    return {
        **dict.fromkeys(columns.labels, Binary().read),
        **dict.fromkeys(columns.classes, Category(("", " "), (0, 0)).read),
        **dict.fromkeys(columns.multi_labels, MultiLabel(("",)).read),
        **dict.fromkeys(columns.numbers, Number(0.0, 1.0).read),
    }


def fit_targets(
    columns: Columns, training: Sequence[Row], splits: Mapping[str, Sequence[Row]]
) -> dict[str, Target]:
    """The targets, fitted to the training rows; those of all splits must fit them.

    Raises:
        RowError: a class or label of validation or test that no training row has; names its line.
        UserError: a column cannot be a target of its kind.
    """
    found: dict[str, Target] = {name: Binary() for name in columns.labels}
    for names, fit in (
        (columns.classes, functools.partial(Category.fit, unknown=columns.unknown_class)),
        (columns.multi_labels, MultiLabel.fit),
        (columns.numbers, Number.fit),
    ):
        for name in names:
            try:
                found[name] = fit([row.targets[name] for row in training])
            except UserError as error:
                raise UserError(f"{columns.path}: column {name!r}: {error}") from error
    for row in itertools.chain(*splits.values()):
        for name, target in found.items():
            try:
                target([row.targets[name]])
            except UserError as error:
                reason = str(error).removeprefix("row 0: ")
                advice = "; --data.unknown-class missing counts it as missing"
                advice = advice if name in columns.classes else ""
                where = f"column {name!r}: {reason}{advice}"
                raise RowError(columns.path, row.line, where) from error
    return found
