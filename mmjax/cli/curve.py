"""`mmjax curve`: how the score grows with the number of training examples."""

from pathlib import Path
from typing import Annotated

import tyro

from mmjax.cli import options, tables
from mmjax.errors import UserError

Target = Annotated[
    Path, tyro.conf.Positional, tyro.conf.arg(help="an experiment's .py file, or a run's folder")
]
Changes = Annotated[
    tuple[str, ...],
    tyro.conf.Positional,
    tyro.conf.arg(help="choices and, after --, flags of the file: model.fusion:mult"),
]


def curve(
    target: Target,
    changes: Changes = (),
    /,
    shares: str = "0.01,0.1,1",
    seeds: int = 3,
    metric: str | None = None,
    out: Annotated[Path | None, tyro.conf.arg(aliases=("-o",))] = None,
    own: options.Own = (),
    json: bool = False,
    csv: bool = False,
) -> None:
    """Train on shares of the training examples: a table and a drawing over the number of examples.

    Each share holds as many examples of each class, and those of a smaller share are among those of
    a larger one; of match tasks it is a share of the pictures. Validation and test splits stay
    whole; all trainings take the same number of steps. The same command goes on where it was
    stopped.

    Args:
        shares: of the training examples, such as 0.01,0.1,1
        seeds: trainings of each share
        metric: of the test split; by default the first objective's first that is no loss
        out: folder of the runs and of curve.png; by default runs/curve_<name>
        json: print one JSON object instead of a table
        csv: print CSV instead
    """
    from rich.table import Table

    from mmjax.config.command_line import parse
    from mmjax.reports import learning_curve
    from mmjax.runs import folder

    tables.require_one(json, csv)
    try:
        numbers = [float(share) for share in shares.split(",")]
    except ValueError:
        raise UserError(f"--shares {shares}: expected numbers such as 0.01,0.1,1") from None
    if seeds < 1:
        raise UserError(f"--seeds {seeds}: expected at least 1")
    options.prepare_process(own)
    home = out or Path("runs") / f"curve_{target.stem}"
    if target.is_dir():
        if changes:
            raise UserError(f"{target}: a run is as it is; give its experiment's file instead")
        experiment = folder.require(target)
    else:
        made = options.experiment_of(target)
        experiment = parse(made, home, list(changes), str(target)).points[0].experiment
    metric, sizes = learning_curve.measure(experiment, home, numbers, seeds, metric)
    rows = [size._asdict() | size.spread() for size in sizes]
    if csv:
        tables.print_rows([{k: v for k, v in row.items() if k != "values"} for row in rows])
        return
    if json:
        tables.print_json({"metric": metric, "split": "test", "seeds": seeds, "sizes": rows})
        return
    table = Table("share", "training examples", metric, "deviation over seeds")
    for size in sizes:
        found = size.spread()
        spread = f"{found['std']:.4f}" if "std" in found else "-"
        table.add_row(f"{size.share:g}", f"{size.examples:,}", f"{found['mean']:.4f}", spread)
    tables.show(table)
    print(f"curve: {home / (learning_curve.NAME + '.png')}")
