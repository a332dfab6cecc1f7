"""An experiment file as a script: parse the command line, train, print the result."""

import inspect
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from mmjax.config import Experiment
from mmjax.config.command_line import parse
from mmjax.config.sweep import written
from mmjax.devices import compilation_cache, parallel
from mmjax.io import json_file
from mmjax.runs import curves, folder
from mmjax.runs.stop import Interrupted
from mmjax.train.loop import many_runs, spread
from mmjax.train.loop.fit import fit
from mmjax.train.loop.spread import Point, Training


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
        compilation_cache.enable()
        parallel.keep_memory()
        processes.start(processes)
        timeout = float(processes.timeout) if processes.distributed else None
        if command.seeds > 1 or command.axes:
            found = many_runs.fit_several(
                command.experiment, run, seeds=command.seeds, axes=command.axes
            )
            show_several(found, title=f"{script.stem}: test split")
            print(f"runs: {run}{os.sep}*  (all: {run / many_runs.FILE})")
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
        processes.leave(130)
    except (ValueError, OSError, MemoryError, ModuleNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        processes.leave(1)
    if not parallel.primary():
        return
    results = json_file.read(run / folder.RESULTS)
    show(metrics, title=f"{script.stem}: test split, after {results['step']} steps")
    print(f"{results['parameters']:,} parameters, {results['training_minutes']:.1f} minutes")
    print(f"run: {run}  (curves: {run / curves.FILE})")


def show_several(found: Sequence[tuple[Training, Mapping[str, float]]], title: str) -> None:
    """Print the metrics of every seed, or of a sweep the first of every point."""
    points = spread.points(*zip(*found, strict=True))
    print(f"{title}, {len(found)} trainings")
    Console().print(_swept(points) if len(points) > 1 else _seeds(*points))


def _seeds(point: Point) -> Table:
    """All metrics, a column for each seed."""
    numbers = map(str, range(1, len(point.metrics) + 1))
    table = Table("metric", *numbers, "mean", "std", "95 % of it")
    for name, of in point.summary().items():
        each = [f"{row[name]:.4f}" for row in point.metrics]
        interval = f"{of['low']:.4f} to {of['high']:.4f}"
        table.add_row(name, *each, f"{of['mean']:.4f}", f"{of['std']:.4f}", interval)
    return table


def _swept(points: Sequence[Point]) -> Table:
    """The total loss and the first metric of each objective, a row for each point."""
    names = list(points[0].metrics[0])
    first = {name.split("/")[0]: name for name in reversed(names)}
    shown = [name for name in names if name in first.values()]
    table = Table(*points[0].values, *shown)
    for point in points:
        cells = [written(value) for value in point.values.values()]
        summary = point.summary()
        for of in (summary[name] for name in shown):
            more = f" ± {of['std']:.4f}" if "std" in of else ""
            cells.append(f"{of['mean']:.4f}{more}")
        table.add_row(*cells)
    if seeds := len(points[0].metrics[1:]):
        table.caption = f"mean ± standard deviation over {seeds + 1} seeds"
    return table


def show(metrics: dict[str, float], title: str) -> None:
    """Print metrics as a table."""
    table = Table("metric", "value")
    table.columns[1].justify = "right"
    for name, value in metrics.items():
        count = name.split("/")[-1].startswith(("true_", "false_"))
        table.add_row(name, f"{value:.0f}" if count else f"{value:.6f}")
    print(title)
    Console().print(table)
