"""Where a training starts: from published weights, or from the variables of a run."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from mmjax.errors import MissingFileError, UserError
from mmjax.models.base import Model
from mmjax.models.train_state import TrainState
from mmjax.runs.fingerprint import forms, misfits
from mmjax.runs.restore import restore
from mmjax.weights.load import load


def from_run(state: TrainState, run: str) -> TrainState:
    """The fresh state with the variables of a finished run; step and optimiser stay fresh.

    Raises:
        UserError: the folder is not a run, or its model has other variables; names them.
    """
    variables = restore(Path(run)).variables
    if lines := misfits(state.variables, forms(variables)):
        raise UserError("\n  ".join([f"--init {run}: its model is another one:", *lines]))
    return _with(state, variables)


def from_files(state: TrainState, model: Model) -> tuple[TrainState, dict[str, str]]:
    """The fresh state with published weights of encoders and decoders, and {part: its file}.

    A part is a modality, or the name of a head.

    Raises:
        UserError: a file does not fit its part, or cannot be read; names the flag.
        MissingFileError: there is no such file; names the flag.
    """
    parts = {n: (f"encoders.{n}", model.path_of(n), part) for n, part in model.encoders.items()}
    parts |= {
        n: (f"heads.{n}", model.path_of_head(n), part) for n, part in model.heads_by_output.items()
    }
    files = {}
    variables = {kind: dict(tree) for kind, tree in state.variables.items()}
    for name, (flag, path, part) in sorted(parts.items()):
        file = getattr(part, "weights", None)
        if file is None:
            continue
        trees = {kind: tree[path] for kind, tree in variables.items() if path in tree}
        try:
            loaded = load(part, file, trees)
        except FileNotFoundError as error:
            raise MissingFileError(f"--model.{flag}.weights {error}") from error
        except (ValueError, OSError) as error:
            raise UserError(f"--model.{flag}.weights {error}") from error
        for kind, tree in loaded.items():
            variables[kind][path] = tree
        files[name] = file
    return _with(state, variables) if files else state, files


def _with(state: TrainState, variables: Mapping[str, Any]) -> TrainState:
    """The state with other variables; copies, since each step donates its state buffers."""
    copies = jax.tree.map(lambda old, new: jnp.array(new, old.dtype), state.variables, variables)
    params = copies.pop("params")
    average = None if state.average is None else jax.tree.map(jnp.copy, params)
    return dataclasses.replace(state, params=params, collections=copies, average=average)
