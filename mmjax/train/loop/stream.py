"""The training batches of an experiment: from which step on, for which seed, in which process."""

import contextlib
from collections.abc import Generator
from typing import Any

from mmjax.config import Experiment
from mmjax.data.pipeline import buckets
from mmjax.data.pipeline.batches import held, train_batches, train_rows
from mmjax.data.preprocessing import Preprocessing
from mmjax.devices import parallel
from mmjax.devices.watchdog import Watchdog
from mmjax.train.loop import lengths, multi_step
from mmjax.types import Batch


class BatchStream:
    """Batches of the training split, the same for any number of devices and processes."""

    def __init__(self, experiment: Experiment, preprocessing: Preprocessing) -> None:
        self._experiment, self._preprocessing = experiment, preprocessing
        self._source = experiment.data.source("train")
        self.epoch = len(self._source)  # examples
        self.lengths = buckets.expected(preprocessing, experiment.compute.buckets)
        # All rows of each modality, preprocessed, where batches may be gathered on the device.
        self.columns = None
        if experiment.compute.steps_per_call > 1:
            self.columns = held(experiment.data, self._source, preprocessing)

    def first(self) -> Batch:
        """The batch of step 1, of which a model needs shapes and types."""
        with contextlib.closing(self._batches(seed=self._experiment.seed, start=0)) as batches:
            return next(batches)

    def __call__(self, *, seed: int, start: int, watchdog: Watchdog) -> Generator[Any, None, None]:
        """What a compiled call takes, from step `start` on: one batch, or several stacked.

        `watchdog` sees to it that no process waits for the others for ever.
        """
        compute = self._experiment.compute
        read = {"seed": seed, "start": start, "workers": compute.workers}
        if compute.steps_per_call == 1:
            if compute.buckets == 1 or parallel.share()[1] == 1:
                return self._batches(**read, buckets=compute.buckets)
            whole = self._batches(**read)
            return lengths.alike(whole, self._preprocessing, compute.buckets, watchdog)
        if self.columns is None:
            batches: Generator[Any, None, None] = self._batches(**read)
        else:
            batches = train_rows(
                self._source,
                self._preprocessing,
                batch_size=self._experiment.batch_size,
                share=parallel.share(),
                **read,
            )
        size = compute.steps_per_call
        return multi_step.stacked(batches, start=start, steps=self._experiment.steps, size=size)

    def _batches(self, **read: Any) -> Generator[Batch, None, None]:
        return train_batches(
            self._experiment.data,
            self._source,
            self._preprocessing,
            batch_size=self._experiment.batch_size,
            share=parallel.share(),
            **read,
        )
