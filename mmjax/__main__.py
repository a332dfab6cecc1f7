"""The `mmjax` command. Heavy imports stand in the commands that need them: help answers at once."""

import json
import sys
from pathlib import Path
from typing import Annotated, Literal

import tyro

Run = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(help="the folder of a run")]
Runs = Annotated[
    tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(help="the folders of finished runs")
]

app = tyro.extras.SubcommandApp()


@app.command
def evaluate(
    run: Run,
    /,
    split: str = "test",
    checkpoint: str = "last",
    data_dir: str | None = None,
    manual_dir: str | None = None,
    json: bool = False,
) -> None:
    """Restore a run and measure it on a split: the numbers that its training printed.

    Args:
        split: train, validation or test
        checkpoint: last, best (by the run's validation metric), whole (the last that is not
            damaged), or the number of a step
        data_dir: where prepared data sets lie, if not where they lay in training
        manual_dir: where the raw files of the data set lie, if not where they lay in training
        json: print one JSON object instead of a table
    """
    from mmjax.cli.script import show
    from mmjax.devices import compilation_cache
    from mmjax.evaluation.evaluate import evaluate as measure

    compilation_cache.enable()
    metrics = measure(run, split, checkpoint=checkpoint, data_dir=data_dir, manual_dir=manual_dir)
    if json:
        _print_json(metrics)
    else:
        show(metrics, title=f"{run}: {split} split")


@app.command
def predict(
    run: Run,
    /,
    image: str | None = None,
    text: str | None = None,
    input: tuple[str, ...] = (),
    batch: Path | None = None,
    on_bad_row: Literal["stop", "skip"] = "stop",
    report: Path | None = None,
    checkpoint: str = "last",
    json: bool = False,
) -> None:
    """Ask a run about an image, a text, a recording or other things of your own, or about many.

    Args:
        image: a PNG, JPEG or WebP file; it is brought to the size that the run was trained on
        text: any text; unknown words are read as unknown
        input: name=value for each other modality: the path of a WAV or .npy file, or a JSON object
        batch: a CSV file with a header such as image,text, paths relative to it; empty is missing
        on_bad_row: what a row does that cannot be read: end the command with exit code 1, the rows
            before it answered, or be left out and written to the report
        report: a CSV file for line and reason of each row left out; by default
            <name of the batch>.skipped.csv in the current folder
        checkpoint: last, best (by the run's validation metric), whole (the last that is not
            damaged), or the number of a step
        json: print one JSON object per answer
    """
    from mmjax.devices import compilation_cache
    from mmjax.evaluation.predictions import (
        Predictor,
        chunks,
        read_csv,
        read_value,
        remarks,
        split_inputs,
    )
    from mmjax.io.rows import BadRows

    compilation_cache.enable()
    predictor = Predictor(run, checkpoint)
    preprocessing = predictor.preprocessing
    pairs = [f"{k}={v}" for k, v in (("image", image), ("text", text)) if v is not None]
    given = split_inputs([*pairs, *input])
    if batch is not None and given:
        raise ValueError(
            "--batch: the rows come from the file; leave --image, --text and --input out"
        )
    row = {name: read_value(preprocessing, name, value) for name, value in given.items()}
    skip = on_bad_row == "skip"
    if report is not None and not (batch and skip):
        raise ValueError("--report: only --batch with --on-bad-row skip writes one")
    if skip and batch is not None:
        report = report or Path(f"{batch.stem}.skipped.csv")
        if report.absolute() == batch.absolute():
            raise ValueError(f"--report: {report} is the batch itself")
    bad = BadRows(report)
    lines = [(0, row)] if batch is None else bad.left_out(read_csv(batch, preprocessing))
    for part in chunks(lines):  # so many images at once, not all
        for (number, row), answer in zip(part, predictor([row for _, row in part]), strict=True):
            notes = remarks(preprocessing, row)
            if json:
                _print_json(({"line": number} if batch else {}) | answer | {"notes": notes})
            else:
                place = [f"{batch}:{number}"] if batch else []
                shown = [f"{name} {value:.4f}" for name, value in answer.items()]
                print("  ".join(place + shown + [f"({note})" for note in notes]))
    if bad.report is not None:
        rows = "1 row was" if bad.count == 1 else f"{bad.count} rows were"
        print(f"{rows} skipped; lines and reasons: {bad.report}", file=sys.stderr)


Target = Annotated[
    Path, tyro.conf.Positional, tyro.conf.arg(help="a run's folder, or an experiment's .py file")
]
Changes = Annotated[
    tuple[str, ...],
    tyro.conf.Positional,
    tyro.conf.arg(help="choices and, after --, flags of the experiment: model.fusion:mult"),
]


@app.command
def describe(target: Target, changes: Changes = (), /, memory: bool = True, json: bool = False):
    """Show a model before it trains: modules, shapes, parameters, operations and memory.

    Args:
        memory: compile evaluation and a training step to see how much memory they take
        json: print one JSON object instead of a table
    """
    import dataclasses

    from rich.console import Console

    from mmjax.cli.target import load
    from mmjax.evaluation.describe import describe as measure

    found = measure(*load(target, changes), memory=memory)
    if json:
        parts = [part._asdict() for part in found.parts]
        return _print_json(dataclasses.asdict(found) | {"parts": parts})
    Console().print(found.table())
    print("\n".join(found.memory()))


@app.command
def table(runs: Runs, /, metric: str = "match/accuracy") -> None:
    """Compare finished runs, as Markdown: mean and spread over seeds, and what else differs.

    Args:
        metric: a metric of the test split
    """
    from mmjax.reports.summary import summarise

    header, rows = summarise(runs, metric)
    for row in [header, ["---"] * len(header), *rows]:
        print("| " + " | ".join(row) + " |")


@app.command(name="list")
def list_() -> None:
    """Show what there is: encoders, fusions, heads, objectives, data sets, optimisers."""
    import inspect

    from mmjax.config.registry import FAMILIES

    for family, members in FAMILIES.items():
        print(family)
        for name, cls in sorted(members.items()):
            print(f"  {name:<20}  {(inspect.getdoc(cls) or '').splitlines()[0]}")


def _print_json(value: dict) -> None:
    print(json.dumps(value))


def main() -> None:
    """The console command; errors that a user can mend end it with a line and exit code 1."""
    try:
        app.cli(prog="mmjax", description="Look at mmjax experiments and runs.")
    except (ValueError, OSError, ModuleNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
