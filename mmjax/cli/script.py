"""An experiment file as a script: parse the command line, train, print the result."""

import inspect
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from mmjax.cli import errors, options, tables
from mmjax.config import Experiment
from mmjax.config.command_line import Command, parse
from mmjax.devices import parallel, processes
from mmjax.errors import UserError
from mmjax.io import json_file
from mmjax.runs import curves, folder
from mmjax.runs.stop import Interrupted
from mmjax.train.loop.fit import fit
from mmjax.train.loop.many_runs import FILE, Finished, fit_many, summary


def main(experiment: Experiment) -> None:
    """Run an experiment as the command line asks; returns when it is done, else ends the process.

    Exit codes: 1 for an error that a user can mend, 2 for a wrong command line, 128 + the signal's
    number after Ctrl-C (130) or SIGTERM (143), when the state has been saved.

    Raises:
        UserError: there is no command line, as in a notebook.
    """
    if not hasattr(sys.modules["__main__"], "__file__"):
        raise UserError(
            "mmjax.main reads the command line of a script; in a notebook call "
            'mmjax.fit(experiment, "runs/name")'
        )
    script = Path(sys.argv[0])
    doc = inspect.getdoc(sys.modules["__main__"]) or ""
    with errors.quiet_pipe():
        command = parse(experiment, Path("runs") / script.stem, sys.argv[1:], doc)
        try:
            _run(command, script.stem)
        except Interrupted as stopped:
            print(stopped, file=sys.stderr)
            sys.exit(128 + stopped.signal)
        except KeyboardInterrupt:
            print(
                "stopped at once; run the same command again to go on from the last checkpoint",
                file=sys.stderr,
            )
            processes.leave(130)
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
            processes.leave(1)


def _run(command: Command, name: str) -> None:
    options.prepare_process()
    parallel.keep_memory()
    processes.start(command.processes)
    timeout = float(command.processes.timeout) if command.processes.distributed else None
    run = command.run
    if command.many:
        found = fit_many(command.points, run, seeds=command.seeds, timeout=timeout)
        if parallel.primary():
            show_many(found, title=f"{name}: test split")
            print(f"runs: {run}{os.sep}*  (all: {run / FILE})")
        return
    experiment = command.points[0].experiment
    metrics = fit(experiment, run, timeout=timeout, profile=command.profile)
    if not parallel.primary():
        return
    results = json_file.read(run / folder.RESULTS)
    tables.metrics(metrics, title=f"{name}: test split, after {results['step']} steps")
    print(f"{results['parameters']:,} parameters, {results['training_minutes']:.1f} minutes")
    print(f"run: {run}  (curves: {run / curves.FILE})")


def show_many(found: Sequence[Finished], title: str) -> None:
    """Print the metrics of every seed, or of a sweep the first of every point."""
    print(f"{title}, {len(found)} trainings")
    points: dict[tuple, list[Finished]] = {}
    for run in found:
        points.setdefault(tuple(run.values.items()), []).append(run)
    tables.show(_sweep(points) if len(points) > 1 else _seeds(found))


def _seeds(found: Sequence[Finished]) -> Table:
    """All metrics, a column for each seed."""
    table = Table("metric", *(f"{run.seed}" for run in found), "mean", "std", "95 % interval")
    for name, of in summary([run.metrics for run in found]).items():
        each = [f"{run.metrics[name]:.4f}" for run in found]
        interval = f"{of['low']:.4f} to {of['high']:.4f}"
        table.add_row(name, *each, f"{of['mean']:.4f}", f"{of['std']:.4f}", interval)
    return table


def _sweep(points: dict[tuple, list[Finished]]) -> Table:
    """The total loss and the first metric of each objective, a row for each point."""
    runs = [run for group in points.values() for run in group]
    names = [name for name in runs[0].metrics if all(name in run.metrics for run in runs)]
    first = {name.split("/")[0]: name for name in reversed(names)}
    shown = [name for name in names if name in first.values()]
    table = Table(*(path for path, _ in next(iter(points))), *shown)
    for values, group in points.items():
        cells = [value for _, value in values]
        of = summary([run.metrics for run in group])
        for name in shown:
            spread = f" ± {of[name]['std']:.4f}" if "std" in of[name] else ""
            cells.append(f"{of[name]['mean']:.4f}{spread}")
        table.add_row(*cells)
    if (seeds := len(next(iter(points.values())))) > 1:
        table.caption = f"mean ± standard deviation over {seeds} seeds"
    return table
