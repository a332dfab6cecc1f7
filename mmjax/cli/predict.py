"""`mmjax predict`: ask a run about examples of your own."""

import csv
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mmjax.cli import options, tables
from mmjax.errors import UserError
from mmjax.io.bad_rows import Fault, check_report, write_report

if TYPE_CHECKING:
    from mmjax.evaluation.predictions import Predictor, Row


def predict(
    run: options.Run,
    /,
    image: str | None = None,
    text: str | None = None,
    input: tuple[str, ...] = (),
    batch: Path | None = None,
    out: Path | None = None,
    on_bad_row: Literal["stop", "skip"] = "stop",
    report: Path | None = None,
    checkpoint: str = "last",
    own: options.Own = (),
    json: bool = False,
) -> None:
    """Ask a run about an image, a text, a recording or other things of your own, or about many.

    Args:
        image: a PNG, JPEG or WebP file; it is brought to the size that the run was trained on
        text: any text; unknown words are read as unknown
        input: name=value for each other modality: the path of a WAV or .npy file, or a JSON object
        batch: a CSV file with a header such as image,text, paths relative to it; empty is missing
        out: a CSV file for the rows of the batch with the predictions beside them
        on_bad_row: what a row does that cannot be read: end the command with exit code 1, the rows
            before it answered, or be left out and written to the report
        report: a CSV file for line and reason of each row left out; by default
            <name of the batch>.skipped.csv in the current folder
        checkpoint: last, best (by the run's validation metric), whole (the last that is not
            damaged), or the number of a step
        json: print one JSON object per row
    """
    from mmjax.evaluation import predictions

    options.prepare_process()
    options.load_own(own)
    pairs = [f"{k}={v}" for k, v in (("image", image), ("text", text)) if v is not None]
    given = predictions.split_inputs([*pairs, *input])
    skip = on_bad_row == "skip"
    if batch is not None and given:
        raise UserError(
            "--batch: the rows come from the file; leave --image, --text and --input out"
        )
    if report is not None and not (batch and skip):
        raise UserError("--report: only --batch with --on-bad-row skip writes one")
    if out is not None and batch is None:
        raise UserError("--out: the predictions of one row are printed; it goes with --batch")
    if batch is not None and skip:
        report = report or Path(f"{batch.stem}.skipped.csv")
        _require_other(batch, "--report", report)
        check_report(report)
    if batch is not None and out is not None:
        _require_other(batch, "--out", out)
    predictor = predictions.Predictor(run, checkpoint)
    preprocessing = predictor.preprocessing
    faults: list[Fault] = []
    if batch is None:
        inputs = {n: predictions.read_value(preprocessing, n, value) for n, value in given.items()}
        rows: Iterable[Row] = [predictions.Row(0, {}, inputs)]
    else:
        rows = _readable(predictions.read_csv(batch, preprocessing), skip, faults)
    answers = _answered(predictor, rows, batch, sorted(preprocessing.transforms))
    try:
        if out is not None:
            _write(out, answers)
        elif json:
            for row, answer, notes in answers:
                tables.print_json(({"line": row.line} if batch else {}) | answer | {"notes": notes})
        else:
            _print(answers, batch)
    finally:
        if report is not None:
            write_report(report, faults)
    if report is not None:
        count = "1 row was" if len(faults) == 1 else f"{len(faults)} rows were"
        print(f"{count} skipped; lines and reasons: {report}", file=sys.stderr)


def _require_other(batch: Path, flag: str, path: Path) -> None:
    if os.path.realpath(path) == os.path.realpath(batch):
        raise UserError(f"{flag}: {path} is the batch itself")


def _readable(rows: "Iterator[Row]", skip: bool, faults: list[Fault]) -> "Iterator[Row]":
    """The rows that could be read; the first other one ends it, or all go to the faults."""
    for row in rows:
        if row.error is None:
            yield row
        elif not skip:
            raise row.error
        else:
            faults.append(Fault(row.line, "", "skipped", row.error.reason))


Answered = "tuple[Row, dict[str, dict[str, Any]], list[str]]"


def _answered(
    predictor: "Predictor", rows: "Iterable[Row]", batch: Path | None, known: list[str]
) -> Iterator[Any]:
    """(row, prediction, what to know of it), as they are computed."""
    from mmjax.evaluation import predictions

    told = batch is None
    for part in predictions.chunks(rows):  # so many images at once, not all
        if not told and (ignored := sorted(set(part[0].cells) - set(known))):
            print(f"columns that the run does not read: {', '.join(ignored)}", file=sys.stderr)
        told = True
        for row, answer in zip(part, predictor([row.inputs for row in part]), strict=True):
            yield row, answer, predictions.warnings(predictor.preprocessing, row.inputs)


def _print(answers: Iterable[Any], batch: Path | None) -> None:
    """A line a row: its place, then each value with its probability or unit."""
    for row, answer, notes in answers:
        parts = [f"{batch}:{row.line}"] if batch else []
        parts += [f"{name} {_said(prediction)}" for name, prediction in answer.items()]
        print("  ".join(parts + [f"({note})" for note in notes]))


def _said(prediction: Mapping[str, Any]) -> str:
    value = prediction["value"]
    if isinstance(value, bool):
        text = "yes" if value else "no"
    elif isinstance(value, list):
        text = ", ".join(value) or "none"
    else:
        text = f"{value:.6g}" if isinstance(value, float) else str(value)
    more = [prediction["unit"]] if "unit" in prediction else []
    more += [f"(p = {prediction['probability']:.4f})"] if "probability" in prediction else []
    return " ".join([text, *more])


def _write(out: Path, answers: Iterable[Any]) -> None:
    """The rows of the batch with the predictions beside them, in one piece."""
    from mmjax.evaluation.predictions import flat

    draft = out.with_name(f".draft-{out.name}")
    with draft.open("w", encoding="utf-8", newline="") as file:
        writer = None
        for row, answer, notes in answers:
            columns = dict(row.cells) | flat(answer) | {"notes": "; ".join(notes)}
            if writer is None:
                writer = csv.DictWriter(file, list(columns))
                writer.writeheader()
            writer.writerow(columns)
    draft.replace(out)
    print(f"predictions: {out}", file=sys.stderr)
