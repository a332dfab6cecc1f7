"""`mmjax predict`: predictions of a run for your own examples."""

import contextlib
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
    from mmjax.search.zero_shot import ZeroShot

    Answering = Predictor | ZeroShot


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
    classes: str | None = None,
    templates: tuple[str, ...] = ("{}",),
    num: int | None = None,
    beams: int | None = None,
    length_penalty: float | None = None,
    temperature: float | None = None,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int | None = None,
    prompt: str = "",
    calibrated: bool = True,
    checkpoint: str = "last",
    own: options.Own = (),
    json: bool = False,
) -> None:
    """Predict for one example (an image, a text, other inputs), or for all rows of a table.

    Args:
        image: a picture of any kind that mmjax data reads; it is resized as in the training
        text: any text
        input: name=value for each other modality: the path of a WAV or .npy file, or a JSON object
        batch: a table (CSV, TSV, JSON lines, Parquet ...) with columns such as image,text; paths
            are relative to it, an empty cell is a missing modality
        out: a CSV file to write: the rows of the batch with their predictions
        on_bad_row: for a row that cannot be read: stop with exit code 1 after the rows before it,
            or skip it and write it to the report
        report: a CSV file for line and reason of each skipped row; by default
            <name of the batch>.skipped.csv in the current folder
        classes: of a run of a dual encoder: the classes to choose from, as "a cat,a dog"
        templates: of these: prompts whose vectors are averaged, such as "a photo of a {}"
        num: of a run that writes texts: how many different ones to show, best first
        beams: texts that are followed in the search for the most probable one (beam search); by
            default as in the training, and at least as many as --num
        length_penalty: of the search: above 0 prefers longer texts
        temperature: draw the words instead of searching: below 1 safer, above 1 more surprising
        top_k: draw only from the k most probable words
        top_p: draw only from the most probable words that together reach this probability
        seed: of drawing
        prompt: words that the text begins with
        calibrated: use what mmjax calibrate has fitted, if it has
        checkpoint: last, best (by the run's validation metric), whole (the newest that is not
            damaged), or a step
        json: print one JSON object per row
    """
    from mmjax.evaluation import predictions

    options.prepare_process(own)
    pairs = [f"{k}={v}" for k, v in (("image", image), ("text", text)) if v is not None]
    given = predictions.split_inputs([*pairs, *input])
    skip = on_bad_row == "skip"
    if batch is not None and skip:
        report = report or Path(f"{batch.stem}.skipped.csv")
    _check(batch, bool(given), out, skip, report)
    writing = {
        "num": num,
        "beams": beams,
        "length_penalty": length_penalty,
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
        "seed": seed,
    }
    writing = {name: value for name, value in writing.items() if value is not None}
    predictor = _predictor(run, checkpoint, classes, templates, writing, prompt, calibrated)
    preprocessing = predictor.preprocessing
    faults: list[Fault] = []
    if batch is None:
        inputs = {n: predictions.read_value(preprocessing, n, value) for n, value in given.items()}
        rows: Iterable[Row] = [predictions.Row(0, {}, inputs)]
    else:
        rows = _readable(
            predictions.read_table(batch, preprocessing, predictor.columns), skip, faults
        )
    answers = _answered(predictor, rows)
    try:
        if out is not None:
            _write(out, answers)
        else:
            _print(answers, batch, json)
    finally:
        if report is not None:
            write_report(report, faults)
    if report is not None:
        count = "1 row was" if len(faults) == 1 else f"{len(faults)} rows were"
        print(f"{count} skipped; lines and reasons: {report}", file=sys.stderr)


def _predictor(
    run: Path,
    checkpoint: str,
    classes: str | None,
    templates: tuple[str, ...],
    writing: Mapping[str, Any],
    prompt: str,
    calibrated: bool,
) -> "Answering":
    """The run as it was trained, or as a zero-shot classifier of the classes."""
    if classes is None:
        from mmjax.evaluation.predictions import Predictor

        return Predictor(run, checkpoint, writing=writing, prompt=prompt, calibrated=calibrated)
    if writing or prompt:
        raise UserError(f"--classes: writes no text; leave {', '.join(writing) or '--prompt'} out")
    from mmjax.search.zero_shot import ZeroShot

    names = [name.strip() for name in classes.split(",") if name.strip()]
    return ZeroShot(run, names, templates, checkpoint)


def _check(
    batch: Path | None, given: bool, out: Path | None, skip: bool, report: Path | None
) -> None:
    """UserError for flags that do not go together, or a file that must not be overwritten."""
    if batch is None and out is not None:
        raise UserError("--out: the predictions of one row are printed; it goes with --batch")
    if batch is not None and given:
        raise UserError(
            "--batch: the rows come from the file; leave --image, --text and --input out"
        )
    if report is not None and (batch is None or not skip):
        raise UserError("--report: only --batch with --on-bad-row skip writes one")
    for flag, path in (("--report", report), ("--out", out)):
        if batch and path and os.path.realpath(path) == os.path.realpath(batch):
            raise UserError(f"{flag}: {path} is the batch itself")
    if report is not None:
        check_report(report)


def _readable(rows: "Iterator[Row]", skip: bool, faults: list[Fault]) -> "Iterator[Row]":
    """The rows without an error; the first error is raised, or with `skip` all become faults."""
    for row in rows:
        if row.error is None:
            yield row
        elif not skip:
            raise row.error
        else:
            faults.append(Fault(row.line, "", "skipped", row.error.reason))


def _answered(
    predictor: "Answering", rows: "Iterable[Row]"
) -> "Iterator[tuple[Row, dict[str, dict[str, Any]], list[str]]]":
    """(row, prediction, warnings); names the columns that the run does not read."""
    from mmjax.evaluation import predictions

    known = set(predictor.preprocessing.transforms)
    known |= {one for name, column in predictor.columns.items() for one in column.names(name)}
    for number, part in enumerate(predictions.chunks(rows)):
        if number == 0 and (ignored := sorted(set(part[0].cells) - known)):
            print(f"columns that the run does not read: {', '.join(ignored)}", file=sys.stderr)
        for row, answer in zip(part, predictor([row.inputs for row in part]), strict=True):
            yield row, answer, predictions.warnings(predictor.preprocessing, row.inputs)


def _print(answers: Iterable[Any], batch: Path | None, json: bool) -> None:
    """Print one line for each row, as text or as a JSON object."""
    for row, answer, notes in answers:
        if json:
            tables.print_json(({"line": row.line} if batch else {}) | answer | {"notes": notes})
            continue
        parts = [f"{batch}:{row.line}"] if batch else []
        parts += [f"{name} {_text(prediction)}" for name, prediction in answer.items()]
        print("  ".join(parts + [f"({note})" for note in notes]))


def _text(prediction: Mapping[str, Any]) -> str:
    """A value with its unit and probability."""
    value = prediction["value"]
    if isinstance(value, bool):
        text = "yes" if value else "no"
    elif isinstance(value, list):
        text = ", ".join(value) or "none"
    else:
        text = f"{value:.6g}" if isinstance(value, float) else str(value)
    more = [prediction["unit"]] if "unit" in prediction else []
    more += [f"(p = {prediction['probability']:.4f})"] if "probability" in prediction else []
    if "low" in prediction:
        more.append(f"({prediction['low']:.6g} to {prediction['high']:.6g})")
    if "set" in prediction:
        more.append(f"{{{', '.join(prediction['set'])}}}")
    if "log_probability" in prediction:
        more.append(f"(log p = {prediction['log_probability']:.2f})")
    lines = [" ".join([text, *more])]
    return "\n  or ".join(lines + [_text(other) for other in prediction.get("alternatives", ())])


def _write(out: Path, answers: Iterable[Any]) -> None:
    """Write the rows of the batch with their predictions, atomically."""
    from mmjax.evaluation.predictions import flat

    draft = out.with_name(f".draft-{out.name}")
    with contextlib.ExitStack() as cleaning:
        cleaning.callback(draft.unlink, missing_ok=True)
        with draft.open("w", encoding="utf-8", newline="") as file:
            writer = None
            for row, answer, notes in answers:
                found = flat(answer) | {"notes": "; ".join(notes)}
                # A column of the batch, such as the truth, is never overwritten.
                found = {f"predicted.{n}" if n in row.cells else n: v for n, v in found.items()}
                if writer is None:
                    # Rows of JSON lines may have more columns than the first.
                    names = [*row.cells, *found]
                    writer = csv.DictWriter(file, names, extrasaction="ignore")
                    writer.writeheader()
                writer.writerow({**row.cells, **found})
        draft.replace(out)
    print(f"predictions: {out}", file=sys.stderr)
