"""Exact evaluation: every example of a split once, on any number of devices."""

import functools
import math
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from mmjax.config import Experiment
from mmjax.data.pipeline import eval_batches
from mmjax.data.preprocessing import Preprocessing
from mmjax.train import parallel
from mmjax.train.step import eval_step

CHUNK = 128  # examples per device and call


class Evaluator:
    """Measures variables on a split of the experiment's data.

    The unit is a chunk of fixed size on one device, and the host adds the chunks in float64 in the
    order of the split: 1 device and 8 run the same programs and give the same digits.
    """

    def __init__(self, experiment: Experiment, preprocessing: Preprocessing, mesh: Mesh) -> None:
        step = functools.partial(
            eval_step, model=experiment.model, objectives=experiment.objectives
        )
        self._experiment = experiment
        self._preprocessing = preprocessing
        self._mesh = mesh
        self._step = parallel.each(step, mesh)
        self._source = functools.cache(experiment.data.source)

    def __call__(self, variables: Mapping[str, Any], split: str) -> dict[str, float]:
        """The total `loss`, then `<objective>/<metric>` for all that each objective reports.

        NaN where nothing was counted, as for a modality that the whole split lacks.
        """
        totals: dict[str, np.ndarray] = {}
        seen: list[tuple[Any, Any, Any]] = []
        variables = parallel.replicate(variables, self._mesh)
        for batch in eval_batches(
            self._source(split), self._preprocessing, batch_size=CHUNK * self._mesh.size
        ):
            sums, outputs = jax.device_get(self._step(variables, batch))
            real = batch.weight > 0
            examples = {
                name: np.reshape(output, (-1, *output.shape[2:]))[real]
                for name, output in outputs.items()
            }
            labels = {name: label[real] for name, label in batch.labels.items()}
            seen.append((examples, labels, batch.weight[real]))
            for name, chunk in sums.items():
                pairs = np.stack([chunk.total, chunk.count]).astype(np.float64)
                for pair in pairs.T:  # one by one: the order must not depend on the device count
                    totals[name] = totals.get(name, np.zeros(2)) + pair
        outputs, labels, weight = (_joined([row[i] for row in seen]) for i in range(3))
        return self._report(totals, outputs, labels, weight)

    def _report(self, totals, outputs, labels, weight) -> dict[str, float]:
        means = {
            name: float(total / count) if count else math.nan
            for name, (total, count) in totals.items()
        }
        report = {"loss": self._experiment.total_loss(means)}
        for name, objective in self._experiment.objectives.items():
            report |= {key: mean for key, mean in means.items() if key.startswith(f"{name}/")}
            metrics = objective.metrics(name, outputs, labels, weight)
            report |= {f"{name}/{metric}": value for metric, value in metrics.items()}
        return report


def _joined(parts: list[Any]) -> Any:
    if isinstance(parts[0], dict):
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return np.concatenate(parts)
