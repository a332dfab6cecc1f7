"""Exact evaluation: every example of a split once, on any number of devices and processes."""

import dataclasses
import functools
import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

from mmjax.config import Experiment
from mmjax.data.pipeline.batches import eval_batches
from mmjax.data.preprocessing import Preprocessing
from mmjax.devices import parallel, processes, sharding
from mmjax.devices.watchdog import Watchdog
from mmjax.errors import UserError
from mmjax.objectives.distillation import Taught
from mmjax.objectives.objective import INVALID
from mmjax.train.step.step import eval_step
from mmjax.types import AnyArray, Batch, MetricName


class _Part(NamedTuple):
    """The results of some chunks."""

    pairs: Mapping[MetricName, AnyArray]  # totals and counts, [chunk, 2]
    records: Mapping[str, Mapping[str, AnyArray]]  # by objective, [example, ...]


class Evaluator:
    """Measures variables on a split of the experiment's data.

    Each device evaluates chunks of a fixed size, and the host adds their results in float64 in the
    order of the split. So any number of devices and processes gives the same digits.
    """

    def __init__(
        self, experiment: Experiment, preprocessing: Preprocessing, mesh: Mesh, chunk: int
    ) -> None:
        """`chunk`: examples per device and call; a run keeps it, since it changes last digits.

        Objectives that a teacher makes the targets of are left out.
        """
        own = {n: o for n, o in experiment.objectives.items() if not isinstance(o, Taught)}
        experiment = dataclasses.replace(experiment, objectives=own)
        step = functools.partial(
            eval_step, model=experiment.model, objectives=experiment.objectives
        )
        self._experiment = experiment
        self._preprocessing = preprocessing
        self._mesh = mesh
        self._chunk = chunk
        self._step = parallel.each(step, mesh)
        self._source = functools.cache(experiment.data.source)

    def __call__(
        self, variables: Mapping[str, Any], split: str, watchdog: Watchdog | None = None
    ) -> dict[str, float]:
        """The total `loss`, then `<objective>/<metric>` for all metrics of each objective.

        NaN where nothing was counted, as for a modality that the split lacks. Every process must
        call it with the same variables; `watchdog` limits the time that it waits for the others.
        """
        own = self._measured(variables, split, self._rows(split, *parallel.share()))
        with (watchdog or Watchdog(None)).waiting("the evaluation of the others"):
            parts = processes.gathered(own)
        return self._report([part for several in parts for part in several])

    def names(self, variables: Mapping[str, Any], split: str) -> list[str]:
        """The names of all metrics, from the first examples of a split, in this process alone."""
        length = min(len(self._source(split)), self._chunk)
        return list(self._report(self._measured(variables, split, range(length))))

    def _measured(self, variables: Mapping[str, Any], split: str, rows: range) -> list[_Part]:
        variables = sharding.replicate(variables, self._mesh)
        batches = eval_batches(
            self._source(split),
            self._preprocessing,
            batch_size=self._chunk * self._mesh.size,
            rows=rows,
        )
        launched = ((batch, self._step(variables, batch)) for batch in batches)
        return [_read(batch, *results) for batch, results in _one_ahead(launched)]

    def _rows(self, split: str, process: int, count: int) -> range:
        """The examples of a process: whole chunks, divided evenly over the processes."""
        length, size = len(self._source(split)), self._chunk
        chunks = -(-length // size)
        first, last = (min(-(-chunks * p // count) * size, length) for p in (process, process + 1))
        return range(first, last)

    def _report(self, parts: list[_Part]) -> dict[str, float]:
        joined = jax.tree.map(lambda *x: np.concatenate(x), *parts)
        means = {}
        for name, chunks in joined.pairs.items():
            # One by one: the order must not depend on the number of devices.
            total, count = sum(chunks, np.zeros(2))
            if name.quantity == INVALID:
                require_valid(self._experiment, name, float(total))
            else:
                means[name] = float(total / count) if count else math.nan
        report = {"loss": self._experiment.total_loss(means)}
        for source, objective in self._experiment.objectives.items():
            report |= {str(name): mean for name, mean in means.items() if name.source == source}
            kind = self._preprocessing.targets.get(objective.target or "")
            try:
                metrics = objective.metrics(joined.records[source], kind)
            except ValueError as error:
                raise UserError(f"objectives.{source}: {error}") from error
            report |= {f"{source}/{metric}": value for metric, value in metrics.items()}
        return report


def require_valid(experiment: Experiment, name: MetricName, total: float) -> None:
    """UserError if an objective counted targets that it cannot read."""
    if total > 0:
        objective = experiment.objectives[name.source]
        raise UserError(
            f"target {objective.target!r}: {total:g} examples have a value that "
            f"{type(objective).__name__} cannot read, such as a class that its head has no output "
            "for, or a label that is neither 0 nor 1"
        )


def _one_ahead(launched: Iterator[Any]) -> Iterator[Any]:
    """Each result, after the next computation was launched: devices do not wait for the host."""
    before = next(launched, None)
    while before is not None:
        after = next(launched, None)
        yield before
        before = after


def _read(batch: Batch, means: Any, records: Any) -> _Part:
    """The results `[device, ...]` of a batch on the host, without padding examples."""
    means, records = jax.device_get((means, records))
    real = batch.weight > 0
    pairs = {
        name: np.stack([mean.total, mean.count], axis=1).astype(np.float64)
        for name, mean in means.items()
    }
    flat = jax.tree.map(lambda x: np.reshape(x, (-1, *x.shape[2:]))[real], records)
    return _Part(pairs, flat)
