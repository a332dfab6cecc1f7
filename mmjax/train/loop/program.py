"""One compiled program that trains one run, or several that differ in nothing but their seeds."""

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

Given = Any  # what a call takes beside the state; it has `ids`


class Program(abc.ABC):
    """What the loop drives: joined states, calls, and the results of each run."""

    @abc.abstractmethod
    def join(self, states: list[TrainState]) -> TrainState:
        """The states of all runs as one; they are given away."""

    @abc.abstractmethod
    def split(self, state: TrainState) -> list[TrainState]:
        """The state of each run, as if it were the only one."""

    @abc.abstractmethod
    def update(self, state: TrainState, given: Given) -> tuple[TrainState, Any]:
        """The state after a call, and its means."""

    @abc.abstractmethod
    def means(self, means: Any, given: Given) -> list[tuple[Mapping, Any]]:
        """The means of each run, and what it was given."""

    @abc.abstractmethod
    def stream(self, start: int, watchdog: Watchdog) -> Generator[Given, None, None]:
        """What the calls from step `start` on take."""


@final
class OneRun(Program):
    """A run whose batches are split over the devices."""

    def __init__(self, trainer: Trainer, stream: BatchStream, seed: int) -> None:
        self._mesh, self._stream, self._seed = trainer.mesh, stream, seed
        self._update = trainer.update(stream.columns)

    def join(self, states: list[TrainState]) -> TrainState:
        """The state itself, as it lies on the devices."""
        return sharding.put(states[0], self._mesh)

    def split(self, state: TrainState) -> list[TrainState]:
        """The state itself."""
        return [sharding.everywhere(state, self._mesh)]

    def update(self, state: TrainState, given: Given) -> tuple[TrainState, Any]:
        """The state after a call, and its means."""
        return self._update(state, given)

    def means(self, means: Any, given: Given) -> list[tuple[Mapping, Any]]:
        """The means themselves, still on the device."""
        return [(means, given)]

    def stream(self, start: int, watchdog: Watchdog) -> Generator[Given, None, None]:
        """Batches, or several stacked."""
        return self._stream(seed=self._seed, start=start, watchdog=watchdog)


@dataclasses.dataclass(frozen=True)
class _Together:
    """What every run is given for a call: `[run, ...]`, and each of them."""

    stacked: Any
    each: Sequence[Any]

    @property
    def ids(self) -> AnyArray:
        """The ids of one of them: they are alike in shape."""
        return self.each[0].ids


@final
class ManySeeds(Program):
    """Several runs, spread evenly over the devices, which do not communicate."""

    def __init__(self, trainer: Trainer, stream: BatchStream, seeds: Sequence[int]) -> None:
        self._mesh, self._stream, self._seeds = trainer.mesh, stream, seeds
        self._update = trainer.updates(stream.columns)

    def join(self, states: list[TrainState]) -> TrainState:
        """Every array as `[run, ...]`."""
        joined = jax.tree.map(lambda *x: jnp.stack(x), *states)
        return jax.device_put(joined, sharding.separate(self._mesh))

    def split(self, state: TrainState) -> list[TrainState]:
        """The state of each run, whole on every device."""
        host = sharding.on_host(state)
        return [sharding.replicate(_taken(host, n), self._mesh) for n in range(len(self._seeds))]

    def update(self, state: TrainState, given: Given) -> tuple[TrainState, Any]:
        """The states after a call, and their means."""
        return self._update(state, given.stacked)

    def means(self, means: Any, given: Given) -> list[tuple[Mapping, Any]]:
        """The means of each run, on the host."""
        host = jax.device_get(means)
        return [(_taken(host, n), given.each[n]) for n in range(len(self._seeds))]

    def stream(self, start: int, watchdog: Watchdog) -> Generator[Given, None, None]:
        """A batch of every run."""
        with contextlib.ExitStack() as stack:
            streams = [
                stack.enter_context(
                    contextlib.closing(self._stream(seed=seed, start=start, watchdog=watchdog))
                )
                for seed in self._seeds
            ]
            for each in zip(*streams, strict=True):
                yield _Together(jax.tree.map(lambda *x: np.stack(x), *each), each)


def _taken(tree: Any, number: int) -> Any:
    return jax.tree.map(lambda x: x[number], tree)
