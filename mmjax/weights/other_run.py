"""A training's start from another run: its parameters, and what else its model keeps."""

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp

from mmjax.errors import UserError
from mmjax.models.train_state import TrainState
from mmjax.runs.fingerprint import forms, misfits
from mmjax.runs.restore import restore


def start(state: TrainState, run: str) -> TrainState:
    """The fresh state with the variables of a finished run of the same model.

    Step and optimiser are those of a fresh state: a longer training, or one on other data, begins
    where the run ended.

    Raises:
        UserError: the folder is not a run's, or its model has other variables; names them.
    """
    variables = restore(Path(run)).variables
    if lines := misfits(state.variables, forms(variables)):
        raise UserError("\n  ".join([f"--init {run}: its model is another one:", *lines]))
    found = jax.tree.map(jnp.array, variables)  # copies: each step donates its state buffers
    params = found.pop("params")
    average = None if state.average is None else jax.tree.map(jnp.copy, params)
    return dataclasses.replace(state, params=params, collections=found, average=average)
