"""The meter of a training: collects the means of each step and writes log lines."""

import contextlib
import math
import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from mmjax.config import Experiment
from mmjax.devices.energy import EnergyMeter
from mmjax.evaluation.evaluator import require_valid
from mmjax.objectives.objective import INVALID
from mmjax.runs.log import Log
from mmjax.train.step.finite import NAME, Watch
from mmjax.types import AnyArray, MetricName, WeightedMean


class Meter:
    """Totals and counts since the last log line, in float64, and the training time.

    `progress` is saved in every checkpoint, so that a resumed run writes the same lines.
    """

    def __init__(
        self,
        log: Log,
        experiment: Experiment,
        watch: Watch,
        *,
        epoch: int,
        progress: Mapping[str, Any],
    ) -> None:
        """`epoch`: examples of the training split."""
        self._log, self._watch = log, watch
        self._experiment, self._epoch = experiment, epoch
        self._learning_rate = experiment.optim.learning_rate(experiment.steps)
        self._pairs = {  # JSON has no NaN
            MetricName(*name): [math.nan if number is None else number for number in pair]
            for *name, pair in progress.get("means", [])
        }
        self._without = progress.get("without", 0)  # steps without an update, in the whole run
        self._skipped = progress.get("skipped", 0)  # the same since the last line
        self._examples = 0  # since the last line
        self._energy, self._before = EnergyMeter(), progress.get("joules")
        self._line = time.perf_counter()
        self._began = self._line - progress.get("seconds", 0.0)

    @property
    def seconds(self) -> float:
        """Time since the run began, with validations, without interruptions."""
        return time.perf_counter() - self._began

    @property
    def joules(self) -> float | None:
        """Energy since the run began; None where this machine counts none."""
        now = self._energy.read()
        return now if now is None or self._before is None else now + self._before

    @property
    def progress(self) -> dict[str, Any]:
        """What a resumed run needs."""
        return {
            "means": [[*name, list(pair)] for name, pair in self._pairs.items()],
            "skipped": self._skipped,
            "without": self._without,
            "in_a_row": self._watch.in_a_row,
            "seconds": self.seconds,
            "joules": self.joules,
            "log": self._log.mark,
        }

    def read(self, step: int, means: Mapping[MetricName, WeightedMean], ids: AnyArray) -> None:
        """Add the means of a step; waits for that step. Writes a line every `log_every` steps.

        The means of a step without an update are left out.

        Raises:
            UserError: a target holds values that its objective cannot read.
        """
        means = dict(means)
        made = self._watch.read(step, means.pop(NAME, None), ids)
        if not made:
            self._skipped += 1
            self._without += 1
        for name, new in means.items():
            if name.quantity == INVALID:
                require_valid(self._experiment, name, float(np.asarray(new.total)))
                continue
            pair = self._pairs.setdefault(name, [0.0, 0.0])
            if made:
                pair[0] += float(np.asarray(new.total))
                pair[1] += float(np.asarray(new.count))
        self._examples += self._experiment.batch_size
        self._log.advance()
        if step % self._experiment.keeping.log_every == 0 or step == self._experiment.steps:
            self._write(step)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """A context whose time does not count into the examples per second."""
        paused = time.perf_counter()
        yield
        self._line += time.perf_counter() - paused

    def _write(self, step: int) -> None:
        means = {
            name: total / count if count else math.nan
            for name, (total, count) in self._pairs.items()
        }
        now = time.perf_counter()
        self._log.record(
            {
                "step": step,
                "split": "train",
                "epoch": step * self._experiment.batch_size / self._epoch,
                "loss": self._experiment.total_loss(means),
                **{str(name): mean for name, mean in means.items()},
                **({"skipped": self._skipped} if self._skipped else {}),
                "examples_per_second": self._examples / (now - self._line),
                "learning_rate": float(np.asarray(self._learning_rate(step - 1 - self._without))),
                "seconds": self.seconds,
            }
        )
        self._pairs, self._skipped, self._examples, self._line = {}, 0, 0, now
        self._energy.read()
