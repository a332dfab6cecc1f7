"""Predictions for examples that no data set holds: files and texts from a user."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import jax

from mmjax.data.preprocessing import Preprocessing
from mmjax.errors import UserError
from mmjax.io.rows import RowError, read_rows
from mmjax.runs import folder
from mmjax.runs.restore import restore
from mmjax.types import Outputs

CHUNK = 128  # rows per call


class Predictor:
    """A restored run that predicts."""

    def __init__(
        self, run: str | Path, checkpoint: str = "last", *, register: Sequence[type] = ()
    ) -> None:
        """The arguments are those of `mmjax.restore`."""
        model, self._variables, self.preprocessing = restore(run, checkpoint, register=register)
        self._objectives = folder.require(Path(run)).objectives
        self._apply = jax.jit(lambda variables, inputs: model.apply(variables, inputs, train=False))

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, dict[str, Any]]]:
        """{objective: prediction} for each row of `{modality: value or None}`.

        A prediction holds JSON values: `value`, a class's name, a number, a text or a truth value,
        and what else is known of it, such as its `probability`.
        """
        found = []
        with jax.enable_x64(False):  # runs are of 32 bits, whatever the process works with
            for first in range(0, len(rows), CHUNK):
                found += self._chunk(list(rows[first : first + CHUNK]))
        return found

    def _chunk(self, rows: list[Mapping[str, Any]]) -> list[dict[str, dict[str, Any]]]:
        # Filled up to powers of two, so that few shapes are compiled.
        filled = rows + [rows[-1]] * ((1 << (len(rows) - 1).bit_length()) - len(rows))
        transforms, targets = self.preprocessing.transforms, self.preprocessing.targets
        inputs = self.preprocessing({n: [row.get(n) for row in filled] for n in transforms})
        outputs = cast(Outputs, jax.device_get(self._apply(self._variables, inputs)))
        by_objective = {
            name: objective.predictions(outputs, targets.get(objective.target or ""))
            for name, objective in self._objectives.items()
        }
        return [{name: p[row] for name, p in by_objective.items()} for row in range(len(rows))]


def flat(prediction: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The predictions of a row as columns: `match`, `match.probability`,
    `digit.probabilities.seven` ...
    """
    columns: dict[str, Any] = {}
    for name, parts in prediction.items():
        for key, value in parts.items():
            path = name if key == "value" else f"{name}.{key}"
            if isinstance(value, Mapping):
                columns |= {f"{path}.{inner}": item for inner, item in value.items()}
            else:
                columns[path] = ";".join(value) if isinstance(value, list) else value
    return columns


def read_value(
    preprocessing: Preprocessing, modality: str, text: str | None, folder: Path = Path()
) -> Any:
    """What a user wrote for a modality: a text, a JSON object, a file's path; None is missing.

    Raises:
        UserError: an unknown modality, or nothing of its kind.
    """
    transform = preprocessing.transforms.get(modality)
    if transform is None:
        raise UserError(
            f"the run knows no {modality!r}; choose from {sorted(preprocessing.transforms)}"
        )
    if text is None:
        return None
    try:
        return transform.read(text, folder)
    except ValueError as error:
        raise UserError(f"{modality}: {error}") from None


def split_inputs(pairs: Sequence[str]) -> dict[str, str]:
    """`name=value` of a command line; a value may hold further equals signs."""
    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not name or not equals:
            raise UserError(f"--input: expected name=value, got {pair!r}")
        if name in found:
            raise UserError(f"--input: {name!r} is given twice")
        found[name] = value
    return found


def warnings(preprocessing: Preprocessing, row: Mapping[str, Any]) -> list[str]:
    """What a reader of a prediction should know of its row: missing, cut or unknown."""
    found = []
    for name, transform in preprocessing.transforms.items():
        value = row.get(name)
        if value is None:
            found.append(f"{name} was missing")
        else:
            found += [f"{name}: {remark}" for remark in transform.remarks(value)]
    return found


class Row(NamedTuple):
    """A row of a user's file, its cells as they were written; or what is wrong with it."""

    line: int
    cells: Mapping[str, str]
    inputs: Mapping[str, Any]
    error: RowError | None = None


def read_csv(path: Path, preprocessing: Preprocessing) -> Iterator[Row]:
    """The rows of a CSV file. Columns that are no modality are passed over.

    Paths in it start at its own folder, and may lead anywhere: the file is the user's own, as a
    command line is. An empty cell is a missing modality, as is a column that is not there.

    Raises:
        UserError: the file is no CSV, or its header names no modality.
    """
    known = sorted(preprocessing.transforms)
    for line, cells in read_rows(path, any_of=known):
        if isinstance(cells, RowError):
            yield Row(line, {}, {}, cells)
            continue
        try:
            inputs = {
                name: read_value(preprocessing, name, cells[name] or None, path.parent)
                for name in known
                if name in cells
            }
        except (ValueError, OSError) as error:
            yield Row(line, cells, {}, RowError(path, line, str(error)))
        else:
            yield Row(line, cells, inputs)


def chunks(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Up to `CHUNK` rows at a time; where reading ends in an error, first those before it."""
    part: list[Row] = []
    try:
        for row in rows:
            part.append(row)
            if len(part) == CHUNK:
                yield part
                part = []
    except (ValueError, OSError):
        if part:
            yield part
        raise
    if part:
        yield part
