"""Restores a model from the folder of a run, without its data or script, on any devices."""

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
    """The model of a run, its variables and its preprocessing. Executes nothing from the folder.

    Args:
        run: the folder of the run
        checkpoint: "last", "best" (by the run's validation metric; else the last), "whole" (the
            newest that is not damaged) or a step
        register: your own classes that the run uses (`mmjax.register`)

    Raises:
        UserError: the folder is not a run, or has no such checkpoint; names the choices.
        DamagedError: the checkpoint is damaged; names the file, and the newest intact one.
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
        step = step_of(run, experiment, checkpoint)
        variables = checkpoint_reader.arrays(run, step, "variables")
    except checkpoint_reader.DamagedError as error:
        whole = checkpoint_reader.newest_whole(run)
        offer = "no checkpoint of this run is whole"
        if whole is not None:
            offer = f"the newest whole checkpoint is step {whole} (--checkpoint whole takes it)"
        raise checkpoint_reader.DamagedError(f"{where} is damaged: {error}\n{offer}") from error
    inputs = preprocessing({name: [None] for name in preprocessing.transforms})
    with jax.enable_x64(False):  # runs use 32 bits, whatever the process uses
        model = experiment.model
        expected = jax.eval_shape(lambda: model.init(jax.random.key(0), inputs, train=False))
    if lines := misfits(expected, forms(variables)):
        raise checkpoint_reader.MisfitError(
            "\n  ".join([f"{where} does not fit the model:", *lines])
        )
    return Restored(model, variables, preprocessing)


def step_of(run: Path, experiment: Experiment, checkpoint: str | int) -> int:
    """The step of a checkpoint that is named as in `restore`; a UserError where there is none."""
    steps = checkpoint_reader.steps(run)
    if not steps:
        raise UserError(f"{run} has no finished checkpoint; run its training again to go on")
    keeping, step = experiment.keeping, None
    match checkpoint:
        case "best":
            step = checkpoint_reader.best(run, keeping.best_metric, keeping.best_mode)
        case "whole":
            step = checkpoint_reader.newest_whole(run)
    if checkpoint in ("last", "best", "whole"):
        return steps[-1] if step is None else step
    if str(checkpoint).isdecimal() and int(checkpoint) in steps:
        return int(checkpoint)
    raise UserError(
        f"{run}: no checkpoint {checkpoint!r}; choose from last, best, whole, "
        + ", ".join(map(str, steps))
    )
