"""Predictions for a user's own examples."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import jax

from mmjax.data.preprocessing import Preprocessing
from mmjax.errors import UserError
from mmjax.io.tables import RowError, read_rows
from mmjax.runs import folder
from mmjax.runs.restore import restore
from mmjax.types import Outputs

CHUNK = 128  # rows per call


class Predictor:
    """A restored run that predicts; the arguments are those of `mmjax.restore`."""

    def __init__(
        self, run: str | Path, checkpoint: str = "last", *, register: Sequence[type] = ()
    ) -> None:
        model, self._variables, self.preprocessing = restore(run, checkpoint, register=register)
        self._objectives = folder.require(Path(run)).objectives
        self._apply = jax.jit(lambda variables, inputs: model.apply(variables, inputs, train=False))

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, dict[str, Any]]]:
        """{objective: prediction} for each row `{modality: value or None}`.

        A prediction holds JSON values: `value` (a class name, number, text or boolean), and further
        ones such as its `probability`.
        """
        predictions = []
        with jax.enable_x64(False):  # runs use 32 bits, whatever the process uses
            for first in range(0, len(rows), CHUNK):
                predictions += self._chunk(list(rows[first : first + CHUNK]))
        return predictions

    def _chunk(self, rows: list[Mapping[str, Any]]) -> list[dict[str, dict[str, Any]]]:
        # Padded to a power of two, so that few shapes are compiled.
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
    """A row's predictions as columns: `match`, `match.probability`, `digit.probabilities.seven`."""
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
    """The value of a modality that a user wrote: a text, a JSON object, or the path of a file.

    None is missing. Paths are relative to `folder`.

    Raises:
        UserError: an unknown modality, or an invalid value.
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
    """{name: value} of `name=value` arguments; a value may contain further equals signs."""
    inputs = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not name or not equals:
            raise UserError(f"--input: expected name=value, got {pair!r}")
        if name in inputs:
            raise UserError(f"--input: {name!r} is given twice")
        inputs[name] = value
    return inputs


def warnings(preprocessing: Preprocessing, row: Mapping[str, Any]) -> list[str]:
    """Which inputs of a row were missing, cut or unknown."""
    remarks = []
    for name, transform in preprocessing.transforms.items():
        if (value := row.get(name)) is None:
            remarks.append(f"{name} was missing")
        else:
            remarks += [f"{name}: {remark}" for remark in transform.remarks(value)]
    return remarks


class Row(NamedTuple):
    """A row of a user's file."""

    line: int | str
    cells: Mapping[str, str]  # as written
    inputs: Mapping[str, Any]
    error: RowError | None = None


def read_csv(path: Path, preprocessing: Preprocessing) -> Iterator[Row]:
    """The rows of a CSV file; an empty cell or absent column is a missing modality.

    Columns that are no modality are ignored. Paths are relative to the file's folder, and may
    lead anywhere: the file is the user's own.

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
    """Up to `CHUNK` rows at a time; those before a reading error come before the error."""
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
