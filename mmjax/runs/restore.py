"""A run's folder back into a model: no data, no script, and any devices."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax

from mmjax.config import Experiment, registry
from mmjax.data.preprocessing import Preprocessing
from mmjax.errors import MissingFileError, UserError
from mmjax.models.base import Model
from mmjax.runs import checkpoint_reader, folder
from mmjax.runs.fingerprint import forms, misfits


class Restored(NamedTuple):
    """`model.apply(variables, preprocessing({"image": [...], ...}), train=False)` gives Outputs."""

    model: Model
    variables: dict[str, Any]  # NumPy arrays
    preprocessing: Preprocessing


def restore(
    run: str | Path, checkpoint: str | int = "last", *, register: Sequence[type] = ()
) -> Restored:
    """The model of a run, its variables and its preprocessing.

    `register`: classes of your own that the run is made of (`mmjax.register`).

    `checkpoint` is "last", "best" (by the run's validation metric; the last where it never was
    measured), "whole" (the last that is not damaged) or the number of a step. Nothing that the
    folder holds is executed.

    Raises:
        UserError: the folder is not a run's, or has no such checkpoint; says which it has.
        DamagedError: the checkpoint is not what was saved; names the file, and the newest good one.
        MisfitError: this version of the model has other parameters; names them.
    """
    registry.register(*register)
    run = Path(run)
    experiment = folder.require(run)
    preprocessing = folder.preprocessing(run, experiment)
    if preprocessing is None:
        raise MissingFileError(f"{run}: expected the preprocessing.json of a finished run")
    where = f"{run}: checkpoint {checkpoint}"
    try:
        step = _step(run, experiment, checkpoint)
        variables = checkpoint_reader.arrays(run, step, "variables")
    except checkpoint_reader.DamagedError as error:
        whole = checkpoint_reader.newest_whole(run)
        offer = "no checkpoint of this run is whole"
        if whole is not None:
            offer = f"the newest whole checkpoint is step {whole} (--checkpoint whole takes it)"
        raise checkpoint_reader.DamagedError(f"{where} is damaged: {error}\n{offer}") from error
    _require_fit(experiment.model, variables, preprocessing, where)
    return Restored(experiment.model, variables, preprocessing)


def _step(run: Path, experiment: Experiment, checkpoint: str | int) -> int:
    steps = checkpoint_reader.steps(run)
    if not steps:
        raise UserError(f"{run} has no finished checkpoint; run its training again to go on")
    match checkpoint:
        case "last":
            return steps[-1]
        case "best":
            keeping = experiment.keeping
            best = checkpoint_reader.best(run, keeping.best_metric, keeping.best_mode)
            return steps[-1] if best is None else best
        case "whole":
            whole = checkpoint_reader.newest_whole(run)
            return steps[-1] if whole is None else whole
    if str(checkpoint).isdecimal() and int(checkpoint) in steps:
        return int(checkpoint)
    raise UserError(
        f"{run}: no checkpoint {checkpoint!r}; choose from last, best, whole, "
        + ", ".join(map(str, steps))
    )


def _require_fit(
    model: Model, variables: dict[str, Any], preprocessing: Preprocessing, where: str
) -> None:
    """MisfitError where the model would make other variables than these."""
    inputs = preprocessing({name: [None] for name in preprocessing.transforms})
    with jax.enable_x64(False):  # runs are of 32 bits, whatever the process works with
        made = jax.eval_shape(lambda: model.init(jax.random.key(0), inputs, train=False))
    if lines := misfits(made, forms(variables)):
        raise checkpoint_reader.MisfitError(
            "\n  ".join([f"{where} does not fit the model:", *lines])
        )
