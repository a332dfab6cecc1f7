"""Answers for examples that no data set holds: files and texts from a user."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

from mmjax.data.preprocessing import Preprocessing
from mmjax.io.rows import RowError, read_rows
from mmjax.runs import folder
from mmjax.runs.restore import restore

CHUNK = 128  # rows per call


class Predictor:
    """A restored run that answers."""

    def __init__(self, run: Path, checkpoint: str = "last") -> None:
        self._objectives = folder.require(run).objectives
        model, self._variables, self.preprocessing = restore(run, checkpoint)
        self._apply = jax.jit(lambda variables, inputs: model.apply(variables, inputs, train=False))

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, float]]:
        """One answer per row of `{modality: value or None}`: a probability by objective."""
        answers = []
        for first in range(0, len(rows), CHUNK):
            chunk = list(rows[first : first + CHUNK])
            # Filled up to powers of two, so that few shapes are compiled.
            filled = chunk + [chunk[-1]] * ((1 << (len(chunk) - 1).bit_length()) - len(chunk))
            inputs = self.preprocessing(
                {name: [row.get(name) for row in filled] for name in self.preprocessing.transforms}
            )
            outputs = jax.device_get(self._apply(self._variables, inputs))
            found = {
                key: value
                for name, objective in self._objectives.items()
                for key, value in objective.answers(name, outputs).items()
            }
            answers += [
                {name: float(values[i]) for name, values in found.items()}
                for i in range(len(chunk))
            ]
        return answers


def read_value(
    preprocessing: Preprocessing, modality: str, text: str | None, folder: Path = Path()
) -> Any:
    """What a user wrote for a modality: a text, a JSON object, a file's path; None is missing.

    Raises:
        ValueError: an unknown modality, or nothing of its kind.
    """
    transform = preprocessing.transforms.get(modality)
    if transform is None:
        raise ValueError(
            f"the run knows no {modality!r}; choose from {sorted(preprocessing.transforms)}"
        )
    if text is None:
        return None
    try:
        return transform.read(text, folder)
    except ValueError as error:
        raise ValueError(f"{modality}: {error}") from None


def split_inputs(pairs: Sequence[str]) -> dict[str, str]:
    """`name=value` of a command line; a value may hold further equals signs."""
    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not name or not equals:
            raise ValueError(f"--input: expected name=value, got {pair!r}")
        if name in found:
            raise ValueError(f"--input: {name!r} is given twice")
        found[name] = value
    return found


def remarks(preprocessing: Preprocessing, row: Mapping[str, Any]) -> list[str]:
    """What somebody who reads the answer to a row should know: missing, cut or unknown."""
    found = []
    for name, transform in preprocessing.transforms.items():
        value = row.get(name)
        if value is None:
            found.append(f"{name} was missing")
        else:
            found += [f"{name}: {remark}" for remark in transform.remarks(value)]
    return found


def read_csv(
    path: Path, preprocessing: Preprocessing
) -> Iterator[tuple[int, dict[str, Any] | RowError]]:
    """The line on which a row begins, with the row or with what is wrong with it.

    Paths in it start at its own folder, and may lead anywhere: the file is the user's own, as a
    command line is. An empty cell is a missing modality, as is a column that is not there.

    Raises:
        ValueError: the file is no CSV, or its header names no modality or an unknown one.
    """
    for line, cells in read_rows(path, known=sorted(preprocessing.transforms)):
        if isinstance(cells, RowError):
            yield line, cells
            continue
        try:
            row = {
                name: read_value(preprocessing, name, cell or None, path.parent)
                for name, cell in cells.items()
            }
        except (ValueError, OSError) as error:
            yield line, RowError(path, line, str(error))
        else:
            yield line, row


def chunks(rows: Iterable[tuple[int, Any]]) -> Iterator[list[tuple[int, Any]]]:
    """Up to `CHUNK` rows at a time; where reading ends in an error, first those before it."""
    part = []
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
