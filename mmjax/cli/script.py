"""An experiment file as a script: parse the command line, train, print the result."""

import contextlib
import inspect
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.table import Table

from mmjax.cli import encrypt, options, tables
from mmjax.config import Experiment
from mmjax.config.command_line import Command, parse
from mmjax.devices import cpu, parallel, processes
from mmjax.errors import UserError
from mmjax.io import json_file
from mmjax.runs import curves, folder
from mmjax.runs.stop import Interrupted
from mmjax.train.loop.fit import fit
from mmjax.train.loop.many_runs import FILE, Finished, fit_many, summary


def main(experiment: Experiment) -> None:
    """Run an experiment as the command line of the script says.

    Exit codes: 1 for a UserError, 2 for a wrong command line, 130 after Ctrl-C and 143 after
    SIGTERM, when the state has been saved.

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
    with options.quiet_pipe():
        command = parse(experiment, Path("runs") / script.stem, sys.argv[1:], doc)
        try:
            with _kept(command):
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


@contextlib.contextmanager
def _kept(command: Command) -> Iterator[None]:
    """With --encrypt the run's folder is plain only while this lasts."""
    if command.encrypt is None:
        yield
        return
    with encrypt.package():
        from mmjax.io.encryption import keys, sealed
    key = keys.key_of(command.encrypt, flag="--encrypt", environment=False)
    encrypt.require_outside(command.run, command.encrypt)
    try:
        with sealed.at_rest(command.run, key):
            yield
    finally:
        file = sealed.place_of(command.run)
        if not command.run.exists() and file.exists():
            print(
                f"encrypted: {file}; mmjax decrypt {file} -o {command.run} --key {command.encrypt}"
            )


def _run(command: Command, name: str) -> None:
    options.prepare_process()
    cpu.keep_memory()
    processes.start(command.processes)
    timeout = float(command.processes.timeout) if command.processes.distributed else None
    run = command.run
    if command.many:
        finished = fit_many(command.points, run, seeds=command.seeds, timeout=timeout)
        if parallel.primary():
            print(f"{name}: test split, {len(finished)} trainings")
            tables.show(_sweep(finished) if len(command.points) > 1 else _seeds(finished))
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


def _seeds(finished: Sequence[Finished]) -> Table:
    """All metrics, with a column for each seed."""
    table = Table("metric", *(f"{run.seed}" for run in finished), "mean", "std", "95 % interval")
    for name, of in summary([run.metrics for run in finished]).items():
        each = [f"{run.metrics[name]:.4f}" for run in finished]
        interval = f"{of['low']:.4f} to {of['high']:.4f}"
        table.add_row(name, *each, f"{of['mean']:.4f}", f"{of['std']:.4f}", interval)
    return table


def _sweep(finished: Sequence[Finished]) -> Table:
    """The total loss and the first metric of each objective, with a row for each point."""
    points: dict[tuple, list[Finished]] = {}
    for run in finished:
        points.setdefault(tuple(run.values.items()), []).append(run)
    names = summary([run.metrics for run in finished])
    first = {name.split("/")[0]: name for name in reversed(names)}
    columns = [name for name in names if name in first.values()]
    table = Table(*(path for path, _ in next(iter(points))), *columns)
    for values, runs in points.items():
        of = summary([run.metrics for run in runs])
        stds = [f" ± {of[name]['std']:.4f}" if "std" in of[name] else "" for name in columns]
        cells = [f"{of[name]['mean']:.4f}{std}" for name, std in zip(columns, stds, strict=True)]
        table.add_row(*(value for _, value in values), *cells)
    if (seeds := len(finished) // len(points)) > 1:
        table.caption = f"mean ± standard deviation over {seeds} seeds"
    return table
