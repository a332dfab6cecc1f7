"""A compiled program that trains one run, or several that differ only in their seeds."""

import abc
import contextlib
import dataclasses
from collections.abc import Generator, Mapping, Sequence
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np

from mmjax.devices import sharding
from mmjax.devices.watchdog import Watchdog
from mmjax.models.train_state import TrainState
from mmjax.train.loop.stream import BatchStream
from mmjax.train.loop.trainer import Trainer
from mmjax.types import AnyArray


class Program(abc.ABC):
    """What the loop over steps needs: one joined state, and the results of each run."""

    @abc.abstractmethod
    def join(self, states: list[TrainState]) -> TrainState:
        """The states of all runs as one; their buffers may be donated."""

    @abc.abstractmethod
    def split(self, state: TrainState) -> list[TrainState]:
        """The state of each run."""

    @abc.abstractmethod
    def update(self, state: TrainState, batch: Any) -> tuple[TrainState, Any]:
        """The state after a call, and its means."""

    @abc.abstractmethod
    def means(self, means: Any, batch: Any) -> list[tuple[Mapping, Any]]:
        """The means and the batch of each run."""

    @abc.abstractmethod
    def stream(self, start: int, watchdog: Watchdog) -> Generator[Any, None, None]:
        """The batches for all calls from step `start` on; each has `ids`."""


@final
class OneRun(Program):
    """A run whose batches are split over the devices."""

    def __init__(self, trainer: Trainer, stream: BatchStream, seed: int) -> None:
        self._mesh, self._stream, self._seed = trainer.mesh, stream, seed
        self._update = trainer.update(stream.columns)

    def join(self, states: list[TrainState]) -> TrainState:
        return sharding.put(states[0], self._mesh)

    def split(self, state: TrainState) -> list[TrainState]:
        return [sharding.everywhere(state, self._mesh)]

    def update(self, state: TrainState, batch: Any) -> tuple[TrainState, Any]:
        return self._update(state, batch)

    def means(self, means: Any, batch: Any) -> list[tuple[Mapping, Any]]:
        return [(means, batch)]

    def stream(self, start: int, watchdog: Watchdog) -> Generator[Any, None, None]:
        return self._stream(seed=self._seed, start=start, watchdog=watchdog)


@dataclasses.dataclass(frozen=True)
class _Batches:
    """The batches of all runs, stacked `[run, ...]` and one by one."""

    stacked: Any
    each: Sequence[Any]

    @property
    def ids(self) -> AnyArray:
        return self.each[0].ids  # only their shape matters, which is the same for all


@final
class ManySeeds(Program):
    """Several runs, divided evenly over the devices, which do not communicate."""

    def __init__(self, trainer: Trainer, stream: BatchStream, seeds: Sequence[int]) -> None:
        self._mesh, self._stream, self._seeds = trainer.mesh, stream, seeds
        self._update = trainer.updates(stream.columns)

    def join(self, states: list[TrainState]) -> TrainState:
        joined = jax.tree.map(lambda *x: jnp.stack(x), *states)
        return jax.device_put(joined, sharding.separate(self._mesh))

    def split(self, state: TrainState) -> list[TrainState]:
        return [sharding.replicate(one, self._mesh) for one in self._unstacked(state)]

    def update(self, state: TrainState, batch: Any) -> tuple[TrainState, Any]:
        return self._update(state, batch.stacked)

    def means(self, means: Any, batch: Any) -> list[tuple[Mapping, Any]]:
        return list(zip(self._unstacked(means), batch.each, strict=True))

    def stream(self, start: int, watchdog: Watchdog) -> Generator[Any, None, None]:
        with contextlib.ExitStack() as stack:
            streams = [self._stream(seed=s, start=start, watchdog=watchdog) for s in self._seeds]
            for stream in streams:
                stack.enter_context(contextlib.closing(stream))
            for each in zip(*streams, strict=True):
                yield _Batches(jax.tree.map(lambda *x: np.stack(x), *each), each)

    def _unstacked(self, tree: Any) -> list[Any]:
        """The tree of each run, on the host."""
        host = jax.device_get(tree)
        return [jax.tree.map(lambda x, n=n: x[n], host) for n in range(len(self._seeds))]
