"""Several trainings that differ in their seeds alone, as one compiled program."""

import contextlib
import dataclasses
import functools
import sys
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from mmjax import json_file
from mmjax.config import Experiment
from mmjax.train import folder, lock, parallel, stored
from mmjax.train.distributed import Watchdog
from mmjax.train.failure import explained
from mmjax.train.keeper import Keeper
from mmjax.train.loop import finish, train
from mmjax.train.setup import Setup
from mmjax.train.state import TrainState
from mmjax.train.stop import Stop
from mmjax.types import AnyArray, Sums

FILE = "seeds.json"
LEVEL = 0.95  # of the confidence intervals
_say = functools.partial(print, file=sys.stderr)


@dataclasses.dataclass(frozen=True)
class _Together:
    """What every training is given for a call: `[training, ...]`, and the ids of each."""

    given: Any
    each: Sequence[Any]

    @property
    def ids(self) -> AnyArray:
        """Of one of them: they are alike in shape."""
        return self.each[0].ids


def fit_seeds(experiment: Experiment, run: str | Path, count: int) -> list[dict[str, float]]:
    """Train with the seeds from the experiment's own on; returns the test metrics of each.

    Each is a run of its own, `<run>/seed-<number>`, as the experiment with that seed and
    `parallel="jit"` leaves it (to rounding), to be restored and evaluated like any other. Stopped,
    all go on from the newest step that all have saved. `seeds.json` holds their means.

    Raises:
        ValueError: the folder holds something else, or the configuration cannot be; see `fit`.
    """
    run = Path(run)
    trainings = [_alone(experiment, number) for number in range(count)]
    runs = [run / f"seed-{training.seed}" for training in trainings]
    _check(run, experiment, count)
    with explained(experiment, run), lock.Lock(run, _say) as held:
        for path, training in zip(runs, trainings, strict=True):
            folder.check(path, training)
        run.mkdir(parents=True, exist_ok=True)
        held.take()
        parallel.request_host_devices(count, experiment.devices)
        ready = Setup(trainings[0], runs[0], parallel.mesh_of(_devices(count, experiment.devices)))
        for path, training in zip(runs, trainings, strict=True):
            folder.claim(path, training, _say)
            ready.preprocessing.save(path)
        metrics = _train(trainings, runs, ready)
    _write(run, trainings, metrics)
    return metrics


def _alone(experiment: Experiment, number: int) -> Experiment:
    # One checkpoint may be newer than those of the others: two let all go back to the same.
    keep = max(2, experiment.keep)
    seed = experiment.seed + number
    return dataclasses.replace(experiment, seed=seed, parallel="jit", keep=keep)


def _check(run: Path, experiment: Experiment, count: int) -> None:
    if count < 2:
        raise ValueError(f"--seeds: expected at least 2, got {count}")
    if jax.distributed.is_initialized():
        raise ValueError("--seeds: trains in one process; not with --distributed")
    if experiment.fsdp > 1:
        raise ValueError("--seeds: a device holds whole states: not with --fsdp")
    if experiment.buckets > 1:
        raise ValueError("--seeds: the batches of all have one length: not with --buckets")
    if (run / folder.CONFIG).exists():
        raise ValueError(f"{run}: holds the run of one seed; choose another --workdir")


def _devices(count: int, wanted: int | None) -> int:
    """The most devices that can have equally many trainings each."""
    most = min(count, wanted or parallel.mesh_of().size)
    found = max(number for number in range(1, most + 1) if count % number == 0)
    if wanted not in (None, found):
        raise ValueError(f"--devices: {wanted} do not divide --seeds {count}; take {found}")
    return found


def _train(
    trainings: Sequence[Experiment], runs: Sequence[Path], ready: Setup
) -> list[dict[str, float]]:
    start, states, progress = _resumed(trainings, runs, ready)
    watchdog = Watchdog(None)
    with contextlib.ExitStack() as stack:
        keepers = [
            stack.enter_context(Keeper(training, path, ready, watchdog, state, made))
            for training, path, state, made in zip(trainings, runs, states, progress, strict=True)
        ]
        stop = stack.enter_context(Stop())
        streams = [
            stack.enter_context(contextlib.closing(ready.stream(start=start, seed=training.seed)))
            for training in trainings
        ]

        def read(before: int, sums: Mapping[str, Sums], batch: _Together) -> None:
            sums = jax.device_get(sums)
            for number, keeper in enumerate(keepers):
                keeper.read(before, _taken(sums, number), batch.each[number])

        def keep(now: TrainState, due: bool) -> None:
            for keeper, state in zip(keepers, _split(now, ready), strict=True):
                keeper.keep(state, due)

        def update(before: int, now: TrainState, batch: _Together) -> Any:
            return ready.updates(now, batch.given)

        now = jax.tree.map(lambda *x: jnp.stack(x), *states)
        now = jax.device_put(now, parallel.separate(ready.mesh))
        del states
        now = train(trainings[0], now, update, _together(streams), read, keep, stop)
        for keeper in keepers:
            keeper.wait()
        seconds = keepers[0].seconds
    metrics = []
    for path, training, state in zip(runs, trainings, _split(now, ready), strict=True):
        metrics.append(ready.evaluator(state.variables, "test"))
        finish(path, training, state, metrics[-1], seconds / len(runs))
    return metrics


def _resumed(
    trainings: Sequence[Experiment], runs: Sequence[Path], ready: Setup
) -> tuple[int, list[TrainState], list[dict[str, Any]]]:
    """The newest step that all have saved, with every state and progress."""
    whole = parallel.replicated(ready.mesh)
    found = [stored.resumed(path, ready.fresh, whole, _say) for path in runs]
    start = min(0 if one is None else one[0] for one in found)
    states, progress = [], []
    for one, path, training in zip(found, runs, trainings, strict=True):
        if one is None or not start:
            state, made = parallel.replicate(ready.begin(training.seed)[0], ready.mesh), {}
        elif one[0] == start:
            _, state, made = one
        else:
            state, made = stored.restore(path, start, ready.fresh, whole)
        states.append(state)
        progress.append(made)
    return start, states, progress


def _together(streams: Sequence[Generator[Any, None, None]]) -> Generator[_Together, None, None]:
    for each in zip(*streams, strict=True):
        yield _Together(jax.tree.map(lambda *x: np.stack(x), *each), each)


def _split(now: TrainState, ready: Setup) -> list[TrainState]:
    """The state of each training, as if it were the only one."""
    host = parallel.on_host(now)
    return [
        parallel.replicate(_taken(host, number), ready.mesh) for number in range(len(host.step))
    ]


def _taken(tree: Any, number: int) -> Any:
    return jax.tree.map(lambda x: x[number], tree)


def summary(metrics: Sequence[Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """By metric the mean, the standard deviation and Student's confidence interval of the mean."""
    found = {}
    for name in metrics[0]:
        values = np.array([row[name] for row in metrics], np.float64)
        deviation = float(np.std(values, ddof=1))
        half = float(stats.t.ppf((1 + LEVEL) / 2, len(values) - 1)) * deviation / len(values) ** 0.5
        mean = float(np.mean(values))
        found[name] = {"mean": mean, "std": deviation, "low": mean - half, "high": mean + half}
    return found


def _write(run: Path, trainings: Sequence[Experiment], metrics: Sequence[dict[str, float]]) -> None:
    rows = [
        {"seed": training.seed, "metrics": row}
        for training, row in zip(trainings, metrics, strict=True)
    ]
    content = {"split": "test", "runs": rows, "level": LEVEL, "summary": summary(metrics)}
    json_file.write(run / FILE, content)
