"""`mmjax evaluate`: the metrics of a finished run."""

from mmjax.cli import options, tables


def evaluate(
    run: options.Run,
    /,
    split: str = "test",
    checkpoint: str = "last",
    data_dir: str | None = None,
    manual_dir: str | None = None,
    own: options.Own = (),
    json: bool = False,
    csv: bool = False,
) -> None:
    """Evaluate a run on a split: the same metrics as after its training.

    Args:
        split: train, validation or test
        checkpoint: last, best (by the run's validation metric), whole (the newest that is not
            damaged), or a step
        data_dir: folder of prepared data sets; by default as in the training
        manual_dir: folder of the raw files of the data set; by default as in the training
        json: print one JSON object instead of a table; NaN is null
        csv: print CSV instead of a table; NaN is empty
    """
    from mmjax.evaluation.evaluate import evaluate as measure

    tables.require_one(json, csv)
    options.prepare_process(own)
    metrics = measure(run, split, checkpoint=checkpoint, data_dir=data_dir, manual_dir=manual_dir)
    if json:
        tables.print_json(metrics)
    elif csv:
        tables.print_csv(("metric", "value"), list(metrics.items()))
    else:
        tables.metrics(metrics, title=f"{run}: {split} split")
