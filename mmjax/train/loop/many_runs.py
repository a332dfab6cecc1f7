"""Several trainings that differ in their seeds, or in numbers, as one compiled program."""

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

from mmjax.config import Experiment, sweep
from mmjax.devices import parallel
from mmjax.devices.failure import explained
from mmjax.devices.processes import Watchdog
from mmjax.io import json_file
from mmjax.models.train_state import TrainState
from mmjax.runs import checkpoint_reader, folder, lock
from mmjax.runs.stop import Stop
from mmjax.train.loop.fit import finish, train
from mmjax.train.loop.recorder import Keeper
from mmjax.train.loop.setup import Setup
from mmjax.train.loop.spread import Training, as_json
from mmjax.types import AnyArray, WeightedMean

FILE = "trainings.json"
_LONGEST = 255  # bytes of a file's name
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


def fit_several(
    experiment: Experiment,
    run: str | Path,
    *,
    seeds: int = 1,
    axes: Sequence[sweep.Axis] = (),
) -> list[tuple[Training, dict[str, float]]]:
    """Train with every combination of numbers, each with the seeds from the experiment's own on.

    Returns the test metrics of each. Each is a run of its own in the folder `run`, as the
    experiment with that seed, those numbers and `parallel="jit"` leaves it (to rounding), to be
    restored and evaluated like any other. Stopped, all go on from the newest step that all have
    saved. `trainings.json` holds all metrics and their means over seeds.

    Raises:
        ValueError: the folder holds something else, or the configuration cannot be; see `fit`.
    """
    run = Path(run)
    trainings = _trainings(experiment, seeds, axes)
    runs = [run / training.name for training in trainings]
    _check(run, experiment, [training.name for training in trainings])
    with explained(experiment, run), lock.Lock(run, _say) as held:
        for path, training in zip(runs, trainings, strict=True):
            folder.check(path, training.experiment)
        run.mkdir(parents=True, exist_ok=True)
        held.take()
        parallel.request_host_devices(len(trainings), experiment.devices)
        mesh = parallel.mesh_of(_devices(len(trainings), experiment.devices))
        ready = Setup(trainings[0].experiment, runs[0], mesh)
        ready.require_one_program([(t.values, t.experiment) for t in trainings])
        for path, training in zip(runs, trainings, strict=True):
            folder.claim(path, training.experiment, _say)
            ready.preprocessing.save(path)
        metrics = _train(trainings, runs, ready)
    json_file.write(run / FILE, as_json(trainings, metrics))
    return list(zip(trainings, metrics, strict=True))


def _trainings(experiment: Experiment, seeds: int, axes: Sequence[sweep.Axis]) -> list[Training]:
    found = []
    for values in sweep.points(axes):
        chosen = sweep.changed(experiment, values)
        for seed in range(experiment.seed, experiment.seed + seeds):
            named = [f"{path}={sweep.written(value)}" for path, value in values.items()]
            named += [f"seed-{seed}"] if seeds > 1 or not axes else []
            found.append(Training(",".join(named), values, _alone(chosen, seed)))
    return found


def _alone(experiment: Experiment, seed: int) -> Experiment:
    # One checkpoint may be newer than those of the others: two let all go back to the same.
    keep = max(2, experiment.keep)
    return dataclasses.replace(experiment, seed=seed, parallel="jit", keep=keep)


def _check(run: Path, experiment: Experiment, names: Sequence[str]) -> None:
    if len(names) < 2:
        raise ValueError("--seeds, --sweep: expected at least 2 trainings, got 1")
    longest = max(len(name.encode()) for name in names)
    if longest > _LONGEST:
        raise ValueError(
            f"--sweep: the name of a training's folder, its numbers, would take {longest} bytes, "
            f"of which {_LONGEST} fit: sweep fewer paths at once"
        )
    if jax.distributed.is_initialized():
        raise ValueError("--seeds, --sweep: in one process; not with --distributed")
    if experiment.fsdp > 1:
        raise ValueError("--seeds, --sweep: a device holds whole states: not with --fsdp")
    if experiment.buckets > 1:
        raise ValueError("--seeds, --sweep: batches have one length: not with --buckets")
    if getattr(experiment.model, "kernels", "xla") != "xla":
        raise ValueError("--seeds, --sweep: JAX has no vmap of cuDNN's LSTM: --model.kernels xla")
    if (run / folder.CONFIG).exists():
        raise ValueError(f"{run}: holds the run of one training; choose another --workdir")


def _devices(count: int, wanted: int | None) -> int:
    """The most devices that can have equally many trainings each."""
    most = min(count, wanted or parallel.mesh_of().size)
    found = max(number for number in range(1, most + 1) if count % number == 0)
    if wanted not in (None, found):
        raise ValueError(f"--devices: {wanted} do not divide {count} trainings; take {found}")
    return found


def _train(
    trainings: Sequence[Training], runs: Sequence[Path], ready: Setup
) -> list[dict[str, float]]:
    start, states, progress = _resumed(trainings, runs, ready)
    measures = [ready.measuring(training.experiment) for training in trainings]
    values = {
        path: np.array([training.values[path] for training in trainings], np.float32)
        for path in trainings[0].values
    }
    updates = ready.updates(tuple(values))
    watchdog = Watchdog(None)
    with contextlib.ExitStack() as stack:
        keepers = [
            stack.enter_context(Keeper(own.experiment, path, measure, watchdog, state, made))
            for own, path, measure, state, made in zip(
                trainings, runs, measures, states, progress, strict=True
            )
        ]
        stop = stack.enter_context(Stop())
        streams = [
            stack.enter_context(contextlib.closing(ready.stream(start=start, seed=training.seed)))
            for training in trainings
        ]

        def read(before: int, sums: Mapping[str, WeightedMean], batch: _Together) -> None:
            sums = jax.device_get(sums)
            for number, keeper in enumerate(keepers):
                keeper.read(before, _taken(sums, number), batch.each[number])

        def keep(now: TrainState, due: bool) -> None:
            for keeper, state in zip(keepers, _split(now, ready), strict=True):
                keeper.keep(state, due)

        def update(before: int, now: TrainState, batch: _Together) -> Any:
            return updates(now, (batch.given, values))

        now = jax.tree.map(lambda *x: jnp.stack(x), *states)
        now = jax.device_put(now, parallel.separate(ready.mesh))
        del states
        now = train(trainings[0].experiment, now, update, _together(streams), read, keep, stop)
        for keeper in keepers:
            keeper.wait()
        seconds = keepers[0].seconds
    metrics = []
    for path, training, measure, state in zip(
        runs, trainings, measures, _split(now, ready), strict=True
    ):
        metrics.append(measure.evaluator(state.variables, "test"))
        finish(path, training.experiment, state, metrics[-1], seconds / len(runs))
    return metrics


def _resumed(
    trainings: Sequence[Training], runs: Sequence[Path], ready: Setup
) -> tuple[int, list[TrainState], list[dict[str, Any]]]:
    """The newest step that all have saved, with every state and progress."""
    whole = parallel.replicated(ready.mesh)
    found = [checkpoint_reader.resumed(path, ready.fresh, whole, _say) for path in runs]
    start = min(0 if one is None else one[0] for one in found)
    states, progress = [], []
    for one, path, training in zip(found, runs, trainings, strict=True):
        if one is None or not start:
            state, made = parallel.replicate(ready.begin(training.seed)[0], ready.mesh), {}
        elif one[0] == start:
            _, state, made = one
        else:
            state, made = checkpoint_reader.restore(path, start, ready.fresh, whole)
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
