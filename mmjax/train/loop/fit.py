"""Training: from an Experiment and a folder to a trained, evaluated, restorable run."""

import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
from jax.sharding import Mesh
from rich.console import Console

from mmjax.config import Experiment, storage
from mmjax.config.span import Span
from mmjax.devices import parallel, processes, sharding
from mmjax.devices.failure import explained
from mmjax.devices.watchdog import Watchdog
from mmjax.errors import UserError
from mmjax.evaluation.evaluator import Evaluator
from mmjax.evaluation.forward import forward_flops
from mmjax.models.train_state import TrainState
from mmjax.runs import budget, checkpoint_reader, curves, facts, folder, lock
from mmjax.runs.stop import Stop
from mmjax.train.loop import trainable
from mmjax.train.loop.preparation import Ready, bound, prepare
from mmjax.train.loop.profile import Profile
from mmjax.train.loop.program import ManySeeds, OneRun
from mmjax.train.loop.recorder import RunRecorder
from mmjax.train.loop.steps import train


def fit(
    experiment: Experiment,
    run: str | Path,
    *,
    timeout: float | None = None,
    profile: Span | None = None,
) -> dict[str, float]:
    """Train in the folder `run`, or resume there; returns the metrics of the test split.

    In a distributed training every process calls it with the same arguments.

    Args:
        experiment: what to train
        run: the folder, new, empty or of the same experiment
        timeout: seconds that a process waits for the others in a step, an evaluation or a save;
            then it exits. Preparing data has no limit
        profile: steps to trace into the run's folder

    Raises:
        UserError: the folder holds another experiment or another process trains in it; the
            configuration is invalid; every checkpoint is damaged; training diverged; the disk is
            full; another process has ended; a step does not fit into a device's memory.
        Interrupted: Ctrl-C or SIGTERM, after the state was saved.
    """
    return fit_together([experiment], [Path(run)], Path(run), timeout=timeout, profile=profile)[0]


def fit_together(
    experiments: Sequence[Experiment],
    runs: Sequence[Path],
    home: Path,
    *,
    mesh: Mesh | None = None,
    timeout: float | None = None,
    profile: Span | None = None,
) -> list[dict[str, float]]:
    """Train runs that differ only in their seeds as one program; otherwise like `fit`.

    Args:
        experiments: one, or several that are equal but for the seed
        runs: the folder of each
        home: the folder to lock: the run's, or the one that holds all runs
        mesh: the devices; by default those that `compute` names
        timeout: seconds to wait for other processes
        profile: steps to trace, into the first run's folder
    """
    experiments = bound(experiments)
    experiment = experiments[0]
    if experiment.private.on and len(experiments) > 1:
        raise UserError("--seeds: each private training spends its own budget: start them singly")
    storage.require_restorable(experiment)
    with explained(experiment, home), lock.Lock(home, _say) as held, Watchdog(timeout) as watchdog:
        for run, one in zip(runs, experiments, strict=True):
            folder.check(run, one)
        if home.exists() and parallel.primary():
            held.take()
        ready = prepare(experiment, runs[0], mesh)
        known = experiment.data.facts()
        if parallel.primary():
            Console(stderr=True).print(facts.table(known))
            if ready.unread:
                _say(f"modalities that the model does not read: {', '.join(ready.unread)}")
        if experiment.share < 1:
            _say(f"share {experiment.share:g}: {ready.stream.epoch:,} training examples")
        different = facts.changes(runs[0], known)
        if different and experiment.keeping.changed_data:
            _say(f"the data have changed since this run began: {'; '.join(different)}")
        # The configuration is valid: now write into the folders.
        if parallel.primary():
            home.mkdir(parents=True, exist_ok=True)
            held.take()
            for run, one in zip(runs, experiments, strict=True):
                folder.check(run, one)
                folder.claim(run, one, ready.trainer.mesh.size, _say)
                ready.preprocessing.save(run)
                if ready.budget is not None:
                    budget.keep(run, ready.budget)
                facts.keep(run, known, experiment.keeping.changed_data)
        processes.require_one_folder(held.token, lambda: lock.read(home).get("token"))
        if not parallel.primary():  # all processes must train the same experiment
            folder.check(runs[0], experiment)
        return _run(experiments, runs, ready, watchdog, profile)


def _run(
    experiments: Sequence[Experiment],
    runs: Sequence[Path],
    ready: Ready,
    watchdog: Watchdog,
    span: Span | None,
) -> list[dict[str, float]]:
    """Train from the newest checkpoint that all runs have, or from the start, and evaluate."""
    experiment, trainer, stream = experiments[0], ready.trainer, ready.stream
    if parallel.primary():
        rows = trainable.rows(ready.fresh.params, experiment, ready.weights)
        Console(stderr=True).print(trainable.table(rows))
        if experiment.compute.fsdp > 1:
            _say(sharding.summary(ready.fresh, experiment.compute.fsdp))
    forward = forward_flops(experiment.model, ready.fresh.variables, ready.preprocessing)
    seeds = [one.seed for one in experiments]
    if len(runs) == 1:
        program = OneRun(trainer, stream, seeds[0])
    else:
        program = ManySeeds(trainer, stream, seeds)
    local = parallel.local(trainer.mesh)
    evaluators = [
        Evaluator(experiment, ready.preprocessing, local, folder.chunk(run)) for run in runs
    ]
    with watchdog.waiting("the other processes to begin"):
        states, progress = _resumed(seeds, runs, ready)
    start = int(states[0].step)
    if ready.budget is not None:
        _say(budget.summary(ready.budget))
        stream.draw_by(jax.device_get(states[0].key))
    with contextlib.ExitStack() as stack:
        recorders = [
            stack.enter_context(
                RunRecorder(one, run, evaluator, watchdog, state, saved, epoch=stream.epoch)
            )
            for one, run, evaluator, state, saved in zip(
                experiments, runs, evaluators, states, progress, strict=True
            )
        ]
        profile = stack.enter_context(Profile(span, runs[0], recorders[0].log.say))
        stop = stack.enter_context(Stop())
        batches = stack.enter_context(contextlib.closing(program.stream(start, watchdog)))
        now = program.join(states)
        del states
        now = train(experiment, now, program, batches, recorders, profile, stop)
        for recorder in recorders:
            recorder.wait()
        seconds = recorders[0].seconds / len(runs)
    metrics = []
    for run, evaluator, state in zip(runs, evaluators, program.split(now), strict=True):
        metrics.append(evaluator(state.variables, "test", watchdog))
        if parallel.primary():
            cost = _cost(experiment, forward, recorders[0].joules, len(runs))
            folder.write_results(run, experiment.steps, state.params, metrics[-1], seconds, cost)
            curves.draw(run)
    with watchdog.waiting("the other processes to end"):
        processes.barrier("the end")
    return metrics


def _cost(
    experiment: Experiment, forward: float, joules: float | None, runs: int
) -> dict[str, Any]:
    """What a training cost: operations by the usual estimate, energy where it is counted.

    A backward pass is taken for two forward passes (Kaplan et al. 2020, arXiv:2001.08361).
    """
    return {
        "forward_flops_per_example": forward,
        "training_flops_estimate": 3 * forward * experiment.batch_size * experiment.steps,
        "energy_joules": None if joules is None else joules / runs,
    }


def _resumed(
    seeds: Sequence[int], runs: Sequence[Path], ready: Ready
) -> tuple[list[TrainState], list[dict[str, Any]]]:
    """State and progress of every run, at the newest step that all have saved, or fresh."""
    mesh, place = ready.trainer.mesh, sharding.place(ready.trainer.mesh)
    newest = [checkpoint_reader.resumed(run, ready.fresh, place, _say) for run in runs]
    start = min(0 if one is None else one[0] for one in newest)
    processes.require_same(start)
    states, progress = [], []
    for one, run, seed in zip(newest, runs, seeds, strict=True):
        if one is None or not start:
            # The fresh state of the first run exists already.
            fresh = ready.fresh if run == runs[0] else ready.trainer.begin(seed)[0]
            one = 0, sharding.put(fresh, mesh), {}
        elif one[0] != start:
            one = start, *checkpoint_reader.restore(run, start, ready.fresh, place)
        states.append(one[1])
        progress.append(one[2])
    if start and parallel.primary() and len(runs) == 1:
        for moved in checkpoint_reader.set_aside(runs[0], start):
            _say(f"the damaged checkpoint was moved to {moved}")
    processes.barrier("set aside")
    return states, progress


def _say(text: str) -> None:
    print(text, file=sys.stderr)  # what it is now, as where somebody has redirected it
