"""`mmjax calibrate`: honest probabilities, and sets and intervals that cover the truth."""

from typing import Literal

from mmjax.cli import options, tables


def calibrate(
    run: options.Run,
    /,
    method: Literal["temperature", "isotonic"] = "temperature",
    alpha: float = 0.1,
    checkpoint: str = "last",
    data_dir: str | None = None,
    resamples: int = 1000,
    own: options.Own = (),
    json: bool = False,
    csv: bool = False,
) -> None:
    """Calibrate a run on its validation split; mmjax predict uses it from then on.

    Predictions get calibrated probabilities and a set of classes, or an interval of a number, that
    holds the truth in a share of 1 - alpha of new examples (split conformal prediction).

    Args:
        method: temperature (one number, keeps the order of classes) or isotonic (a curve for each
            class; needs about a thousand examples)
        alpha: share of examples that sets and intervals may miss
        checkpoint: last, best (by the run's validation metric), whole (the newest that is not
            damaged), or a step
        data_dir: folder of the data; by default as in the training
        resamples: of the bootstrap
        json: print one JSON object instead of a table
        csv: print CSV instead
    """
    from rich.table import Table

    from mmjax.evaluation.calibration import FILE
    from mmjax.reports import calibrate as reports

    tables.require_one(json, csv)
    options.prepare_process(own)
    found, rows = reports.calibrate(
        run, method, alpha, checkpoint=checkpoint, data_dir=data_dir, resamples=resamples
    )
    if csv:
        tables.print_rows([row._asdict() for row in rows])
        return
    if json:
        measured = {
            f"{row.objective}/{row.quantity}": {
                "value": row.value,
                "low": row.low,
                "high": row.high,
            }
            for row in rows
        }
        tables.print_json({"step": found.step, "alpha": found.alpha, "test": measured})
        return
    table = Table(*reports.HEADER)
    for row in reports.listed(rows):
        table.add_row(*row)
    tables.show(table)
    print(f"calibration: {run / FILE}")
