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
from mmjax.train import cache, curves, distributed, folder, parallel, seeds
from mmjax.train.loop import fit
from mmjax.train.stop import Interrupted


def main(experiment: Experiment) -> None:
    """Run an experiment as the command line asks; returns when it is done, else ends the process.

    Exit codes: 1 for an error that a user can mend, 2 for a wrong command line, 128 + the signal's
    number after Ctrl-C (130) or SIGTERM (143), when the state has been saved.
    """
    script = Path(sys.argv[0])
    doc = inspect.getdoc(sys.modules["__main__"]) or ""
    workdir = Path("runs") / script.stem
    experiment, run, processes, span, count = parse(experiment, workdir, sys.argv[1:], doc)
    try:
        cache.enable()
        parallel.keep_memory()
        distributed.start(processes)
        timeout = float(processes.timeout) if processes.distributed else None
        if count > 1:
            show_seeds(seeds.fit_seeds(experiment, run, count), title=f"{script.stem}: test split")
            print(f"runs: {run}{os.sep}seed-*  (all: {run / seeds.FILE})")
            return
        metrics = fit(experiment, run, timeout=timeout, profile=span)
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


def show_seeds(metrics: Sequence[Mapping[str, float]], title: str) -> None:
    """Print the metrics of every seed, and their means."""
    table = Table("metric", *(f"{n + 1}" for n in range(len(metrics))), "mean", "std", "95 % of it")
    for name, of in seeds.summary(metrics).items():
        each = [f"{row[name]:.4f}" for row in metrics]
        interval = f"{of['low']:.4f} to {of['high']:.4f}"
        table.add_row(name, *each, f"{of['mean']:.4f}", f"{of['std']:.4f}", interval)
    print(f"{title}, {len(metrics)} seeds")
    Console().print(table)


def show(metrics: dict[str, float], title: str) -> None:
    """Print metrics as a table."""
    table = Table("metric", "value")
    table.columns[1].justify = "right"
    for name, value in metrics.items():
        count = name.split("/")[-1].startswith(("true_", "false_"))
        table.add_row(name, f"{value:.0f}" if count else f"{value:.6f}")
    print(title)
    Console().print(table)
