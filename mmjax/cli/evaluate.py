"""`mmjax evaluate`: restore a run and measure it."""

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
) -> None:
    """Restore a run and measure it on a split: the numbers that its training printed.

    Args:
        split: train, validation or test
        checkpoint: last, best (by the run's validation metric), whole (the last that is not
            damaged), or the number of a step
        data_dir: where prepared data sets lie, if not where they lay in training
        manual_dir: where the raw files of the data set lie, if not where they lay in training
        json: print one JSON object instead of a table; a metric that is not defined is null
    """
    from mmjax.evaluation.evaluate import evaluate as measure

    options.prepare_process()
    options.load_own(own)
    metrics = measure(run, split, checkpoint=checkpoint, data_dir=data_dir, manual_dir=manual_dir)
    if json:
        tables.print_json(metrics)
    else:
        tables.metrics(metrics, title=f"{run}: {split} split")
