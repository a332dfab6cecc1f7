"""The training batches of an experiment, for a seed, from any step on."""

import contextlib
import dataclasses
from collections.abc import Generator
from typing import Any

import numpy as np

from mmjax.config import Experiment
from mmjax.data.dataset import Source
from mmjax.data.pipeline import buckets, poisson
from mmjax.data.pipeline.batches import held, train_batches, train_rows
from mmjax.data.pipeline.poisson import Poisson
from mmjax.data.preprocessing import Preprocessing
from mmjax.data.subset import Subset, chosen, classes_of
from mmjax.data.synthetic.drawn import DrawnSource
from mmjax.data.targets import Binary, Category
from mmjax.devices import parallel, processes
from mmjax.devices.watchdog import Watchdog
from mmjax.errors import UserError
from mmjax.train.loop import multi_step
from mmjax.train.loop.teacher import Teacher
from mmjax.types import AnyArray, Batch


class BatchStream:
    """Batches of the training split, the same for any number of devices and processes."""

    def __init__(
        self,
        experiment: Experiment,
        preprocessing: Preprocessing,
        teacher: Teacher | None = None,
    ) -> None:
        self._experiment, self._teacher = experiment, teacher
        self._preprocessing = preprocessing if teacher is None else teacher.preprocessing
        self.modalities = tuple(self._preprocessing.transforms)  # that are read
        self._source = training_source(experiment, preprocessing)
        self.epoch = len(self._source)  # examples
        if teacher is not None and not (self._source.draws or experiment.data.perturbs):
            teacher.store(self.epoch)
        self._secret = 0
        # All rows of each modality, preprocessed, where the device can gather batches from them.
        self.columns = None
        compute = experiment.compute
        several = compute.steps_per_call > 1
        if teacher is None and (several or (compute.buckets == 1 and parallel.accelerated())):
            self.columns = held(experiment.data, self._source, preprocessing)

    def draw_by(self, key: AnyArray) -> None:
        """Draw the batches of private training by a secret key, uint32 `[2]`."""
        high, low = map(int, np.asarray(key))
        self._secret = high << 32 | low

    def first(self) -> Batch:
        """The batch of step 1; a model needs its shapes and types."""
        with contextlib.closing(self._batches(seed=self._experiment.seed, start=0)) as batches:
            return next(batches)

    def __call__(self, *, seed: int, start: int, watchdog: Watchdog) -> Generator[Any, None, None]:
        """The batches of each compiled call from step `start` on; several steps are stacked.

        `watchdog` limits the time that a process waits for the others.
        """
        compute = self._experiment.compute
        read = {"seed": seed, "start": start, "workers": compute.workers}
        if compute.buckets > 1:
            if parallel.share()[1] == 1:
                return self._batches(**read, buckets=compute.buckets)
            whole = self._batches(**read)
            return same_length(whole, self._preprocessing, compute.buckets, watchdog)
        batches = self._batches(**read) if self.columns is None else self._rows(**read)
        if compute.steps_per_call == 1:
            return batches
        size = compute.steps_per_call
        return multi_step.stacked(batches, start=start, steps=self._experiment.steps, size=size)

    def _batches(self, **read: Any) -> Generator[Any, None, None]:
        size = self._size(read["seed"])
        batches = train_batches(
            self._experiment.data, self._source, self._preprocessing, **size, **read
        )
        if self._teacher is None:
            return batches
        return self._teacher.taught(batches, self._experiment.model.modalities)

    def _rows(self, **read: Any) -> Generator[Any, None, None]:
        size = self._size(read["seed"])
        return train_rows(self._source, self._preprocessing, **size, **read)

    def _size(self, seed: int) -> dict[str, Any]:
        size, private = self._experiment.batch_size, self._experiment.private
        found = {"batch_size": size, "share": parallel.share()}
        if not private.on:
            return found
        rows = poisson.rows(self.epoch, size, private.microbatch * poisson.PARTS)
        return found | {"poisson": Poisson(self.epoch, size, rows, self._secret, seed)}


def training_source(experiment: Experiment, preprocessing: Preprocessing) -> Source:
    """The training examples that an experiment uses: all, or those of its `share`.

    Raises:
        UserError: a share of data that are drawn, or in which one row is in several examples.
    """
    source = experiment.data.source("train")
    if experiment.share == 1:
        return source
    name = type(experiment.data).__name__
    if isinstance(source, DrawnSource):
        raise UserError(f"--share: {name} has no examples to share: it draws new ones in each step")
    if (part := source.part(experiment.share)) is not None:
        return part
    if experiment.data.shares_rows:
        raise UserError(
            f"--share: {name} draws one row into several examples, so that a share of the examples "
            "would still show all rows"
        )
    kinds = preprocessing.targets
    named = [one.target for one in experiment.objectives.values() if one.target in kinds]
    classes = [name for name in named if name and isinstance(kinds[name], Category | Binary)]
    return Subset(source, chosen(classes_of(source, next(iter(classes), None)), experiment.share))


def same_length(
    batches: Generator[Batch, None, None],
    preprocessing: Preprocessing,
    count: int,
    watchdog: Watchdog,
) -> Generator[Batch, None, None]:
    """Cut each batch to the bucket that the longest share of any process needs.

    All processes must run the same program. `count`: the number of buckets.
    """
    exchange = processes.Exchange()
    with contextlib.closing(batches):
        for batch in batches:
            own = buckets.shortest(batch.inputs, preprocessing, count)
            with watchdog.waiting("the lengths of the other processes' shares"):
                longest = min(exchange(own))
            inputs = buckets.cut(batch.inputs, preprocessing, count, longest)
            yield dataclasses.replace(batch, inputs=inputs)
