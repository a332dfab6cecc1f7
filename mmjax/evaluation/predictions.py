"""Predictions for a user's own examples."""

import functools
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

from mmjax.config import Experiment
from mmjax.data.datasets import TableData
from mmjax.data.preprocessing import Preprocessing
from mmjax.data.tables.columns import Column
from mmjax.data.tables.rows import Row as Row
from mmjax.data.tables.rows import read_table as read_table
from mmjax.data.tables.rows import read_value as read_value
from mmjax.errors import UserError
from mmjax.evaluation.calibration import Calibration
from mmjax.evaluation.writing import writing_model
from mmjax.runs import folder
from mmjax.runs.restore import restore, step_of
from mmjax.types import Masked, Outputs

CHUNK = 128  # rows per call


class Predictor:
    """A restored run that predicts; the arguments are those of `mmjax.restore`.

    `writing`: fields of decoders to change, such as {"beams": 5, "num": 5}; `prompt`: a
    text that all written ones begin with. UserError where the run has no decoder.
    `calibrated`: use what mmjax calibrate has fitted to this checkpoint, if it has.
    """

    def __init__(
        self,
        run: str | Path,
        checkpoint: str = "last",
        *,
        register: Sequence[type] = (),
        writing: Mapping[str, Any] | None = None,
        prompt: str = "",
        calibrated: bool = True,
    ) -> None:
        model, variables, self.preprocessing = restore(run, checkpoint, register=register)
        if writing or prompt:
            model = writing_model(model, self.preprocessing, dict(writing or {}), prompt)
        self.model = model
        experiment = folder.require(Path(run))
        self._objectives = experiment.objectives
        self.columns = table_columns(experiment, self.preprocessing)
        apply = jax.jit(lambda variables, inputs: model.apply(variables, inputs, train=False))
        self._outputs: Callable[[Any], Outputs] = functools.partial(apply, variables)
        self.calibration, unused = None, ""
        if calibrated:
            step = step_of(Path(run), experiment, checkpoint)
            self.calibration, unused = Calibration.of_step(Path(run), step)
        if unused:
            print(f"{run}: {unused}", file=sys.stderr)

    @classmethod
    def of_program(
        cls,
        outputs: Callable[[Mapping[str, Masked]], Outputs],
        experiment: Experiment,
        preprocessing: Preprocessing,
    ) -> "Predictor":
        """A predictor by a function from inputs to outputs, such as that of an exported model."""
        predictor = cls.__new__(cls)
        predictor.preprocessing, predictor.model = preprocessing, experiment.model
        predictor._objectives, predictor._outputs = experiment.objectives, outputs
        predictor.columns = table_columns(experiment, preprocessing)
        predictor.calibration = None
        return predictor

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
        transforms, targets = self.preprocessing.transforms, self.preprocessing.targets
        inputs = self.preprocessing({n: [row.get(n) for row in filled(rows)] for n in transforms})
        outputs = jax.device_get(self._outputs(inputs))
        calibration = self.calibration
        if calibration is not None:
            heads = {name: objective.output for name, objective in self._objectives.items()}
            outputs = calibration.applied(outputs, heads)
        by_objective = {
            name: objective.predictions(outputs, targets.get(objective.target or ""))
            for name, objective in self._objectives.items()
        }
        if calibration is not None:
            for name, predictions in by_objective.items():
                calibration.add(name, predictions)
        return [{name: p[row] for name, p in by_objective.items()} for row in range(len(rows))]


def table_columns(experiment: Experiment, preprocessing: Preprocessing) -> dict[str, Column]:
    """How the rows of a table are read, by modality; empty for a run that was trained on none."""
    data = experiment.data
    columns = data.columns if isinstance(data, TableData) else {}
    return {name: c for name, c in columns.items() if name in preprocessing.transforms}


def filled(rows: list[Any]) -> list[Any]:
    """The rows with the last repeated up to a power of two, so that few shapes are compiled."""
    return rows + [rows[-1]] * ((1 << (len(rows) - 1).bit_length()) - len(rows))


def flat(prediction: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """A row's predictions as columns: `match`, `match.probability`, `digit.probabilities.seven`."""
    columns: dict[str, Any] = {}
    for name, parts in prediction.items():
        for key, value in parts.items():
            path = name if key == "value" else f"{name}.{key}"
            if isinstance(value, Mapping):
                columns |= {f"{path}.{inner}": item for inner, item in value.items()}
            elif value and isinstance(value, list) and isinstance(value[0], Mapping):
                for place, other in enumerate(value, 2):  # further texts
                    columns |= flat({f"{name}.{place}": other})
            else:
                columns[path] = ";".join(value) if isinstance(value, list) else value
    return columns


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
