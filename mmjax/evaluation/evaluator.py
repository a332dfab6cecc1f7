"""Exact evaluation: every example of a split once, on any number of devices and processes."""

import functools
import itertools
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

from mmjax.config import Experiment
from mmjax.data.pipeline.batches import eval_batches
from mmjax.data.preprocessing import Preprocessing
from mmjax.devices import parallel, processes
from mmjax.devices.processes import Watchdog
from mmjax.train.step.step import eval_step
from mmjax.types import AnyArray

CHUNK = 128  # examples per device and call


class _Found(NamedTuple):
    """Of some chunks: the sums of each, and of their examples what rank metrics need."""

    sums: Mapping[str, AnyArray]  # [chunk, 2]: total and count
    outputs: Mapping[str, AnyArray]
    labels: Mapping[str, AnyArray]
    weight: AnyArray


class Evaluator:
    """Measures variables on a split of the experiment's data.

    The unit is a chunk of fixed size on one device, and the host adds the chunks in float64 in the
    order of the split: 1 device and 8, or 2 processes, run the same programs and give the same
    digits. Each process evaluates a run of chunks, and all learn what the others found.
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

    def __call__(
        self, variables: Mapping[str, Any], split: str, watchdog: Watchdog | None = None
    ) -> dict[str, float]:
        """The total `loss`, then `<objective>/<metric>` for all that each objective reports.

        NaN where nothing was counted, as for a modality that the whole split lacks. Every process
        must call it, with the same variables; `watchdog` sees to it that none waits for ever.
        """
        own = self._found(variables, split, parallel.share())
        with (watchdog or Watchdog(None)).waiting("the evaluation of the others"):
            found = processes.gathered(own)
        return self._report(list(itertools.chain.from_iterable(found)))

    def names(self, variables: Mapping[str, Any], split: str) -> list[str]:
        """Which metrics there are; waits for no other process."""
        _, count = parallel.share()
        return list(self._report(self._found(variables, split, (0, count))))

    def _found(
        self, variables: Mapping[str, Any], split: str, share: tuple[int, int]
    ) -> list[_Found]:
        """Of every batch of a process's share; none where there are fewer chunks than processes."""
        source, found = self._source(split), []
        variables = parallel.replicate(variables, self._mesh)
        for batch in eval_batches(
            source,
            self._preprocessing,
            batch_size=CHUNK * self._mesh.size,
            rows=_rows(len(source), *share),
        ):
            sums, outputs = jax.device_get(self._step(variables, batch))
            real = batch.weight > 0
            examples = {
                name: np.reshape(output, (-1, *output.shape[2:]))[real]
                for name, output in outputs.items()
            }
            labels = {name: label[real] for name, label in batch.labels.items()}
            pairs = {
                name: np.stack([chunk.total, chunk.count], axis=1).astype(np.float64)
                for name, chunk in sums.items()
            }
            found.append(_Found(pairs, examples, labels, batch.weight[real]))
        return found

    def _report(self, found: list[_Found]) -> dict[str, float]:
        pairs, outputs, labels, weight = jax.tree.map(lambda *x: np.concatenate(x), *found)
        means = {}
        for name, chunks in pairs.items():
            # One by one: the order must not depend on the number of devices.
            total, count = sum(chunks, np.zeros(2))
            means[name] = float(total / count) if count else math.nan
        report = {"loss": self._experiment.total_loss(means)}
        for name, objective in self._experiment.objectives.items():
            report |= {key: mean for key, mean in means.items() if key.startswith(f"{name}/")}
            metrics = objective.metrics(name, outputs, labels, weight)
            report |= {f"{name}/{metric}": value for metric, value in metrics.items()}
        return report


def _rows(length: int, part: int, parts: int) -> range:
    """The examples of a process: whole chunks, as many as the others have or one less."""
    chunks = -(-length // CHUNK)
    first, last = (min(-(-chunks * p // parts) * CHUNK, length) for p in (part, part + 1))
    return range(first, last)
