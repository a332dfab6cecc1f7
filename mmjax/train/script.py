"""An experiment file as a script: parse the command line, train, print the result."""

import inspect
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from mmjax import json_file
from mmjax.config import Experiment
from mmjax.config.command_line import parse
from mmjax.train import cache, curves, distributed, folder, parallel, several, spread
from mmjax.train.loop import fit
from mmjax.train.spread import Training
from mmjax.train.stop import Interrupted


def main(experiment: Experiment) -> None:
    """Run an experiment as the command line asks; returns when it is done, else ends the process.

    Exit codes: 1 for an error that a user can mend, 2 for a wrong command line, 128 + the signal's
    number after Ctrl-C (130) or SIGTERM (143), when the state has been saved.
    """
    script = Path(sys.argv[0])
    doc = inspect.getdoc(sys.modules["__main__"]) or ""
    workdir = Path("runs") / script.stem
    command = parse(experiment, workdir, sys.argv[1:], doc)
    run, processes = command.run, command.processes
    try:
        cache.enable()
        parallel.keep_memory()
        distributed.start(processes)
        timeout = float(processes.timeout) if processes.distributed else None
        if command.seeds > 1 or command.axes:
            found = several.fit_several(
                command.experiment, run, seeds=command.seeds, axes=command.axes
            )
            show_several(found, title=f"{script.stem}: test split")
            print(f"runs: {run}{os.sep}*  (all: {run / several.FILE})")
            return
        metrics = fit(command.experiment, run, timeout=timeout, profile=command.profile)
    except Interrupted as stopped:
        print(stopped, file=sys.stderr)
        sys.exit(128 + stopped.signal)
    except KeyboardInterrupt:
        print(
            "stopped at once; run the same command again to go on from the last checkpoint",
            file=sys.stderr,
        )
        distributed.leave(130)
    except (ValueError, OSError, MemoryError, ModuleNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        distributed.leave(1)
    if not parallel.primary():
        return
    results = json_file.read(run / folder.RESULTS)
    show(metrics, title=f"{script.stem}: test split, after {results['step']} steps")
    print(f"{results['parameters']:,} parameters, {results['training_minutes']:.1f} minutes")
    print(f"run: {run}  (curves: {run / curves.FILE})")


def show_several(found: Sequence[tuple[Training, Mapping[str, float]]], title: str) -> None:
    """Print the means over seeds at every point of a sweep; of one point the seeds, too."""
    points = spread.points(*zip(*found, strict=True))
    seeds = len(points[0].metrics)
    table = Table("metric")
    if len(points) == 1:
        heads = [f"seed {training.seed}" for training, _ in found]
        rows = {name: [f"{row[name]:.4f}" for _, row in found] for name in found[0][1]}
    else:
        heads = [_lines(point.values) for point in points]
        rows = {name: [] for name in found[0][1]}
    for point in points:
        heads += ["mean", "std", "95 % of it"] if len(points) == 1 else []
        for name, of in point.summary().items():
            rows[name].append(f"{of['mean']:.4f}")
            if len(points) == 1:
                rows[name] += [f"{of['std']:.4f}", f"{of['low']:.4f} to {of['high']:.4f}"]
            elif seeds > 1:
                rows[name][-1] += f" ± {of['std']:.4f}"
    for head in heads:
        table.add_column(head, justify="right")
    for name, cells in rows.items():
        table.add_row(name, *cells)
    spread_of = f", mean ± standard deviation over {seeds} seeds" if seeds > 1 else ""
    print(f"{title}, {len(found)} trainings{spread_of}")
    Console().print(table)


def _lines(values: Mapping[str, float]) -> str:
    return "\n".join(f"{path}={value:g}" for path, value in values.items())


def show(metrics: dict[str, float], title: str) -> None:
    """Print metrics as a table."""
    table = Table("metric", "value")
    table.columns[1].justify = "right"
    for name, value in metrics.items():
        count = name.split("/")[-1].startswith(("true_", "false_"))
        table.add_row(name, f"{value:.0f}" if count else f"{value:.6f}")
    print(title)
    Console().print(table)
