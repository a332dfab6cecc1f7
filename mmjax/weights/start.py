"""A training's start from published weights: those of every encoder that asks for some."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from mmjax.errors import MissingFileError, UserError
from mmjax.models.base import Model
from mmjax.models.train_state import TrainState
from mmjax.weights.load import load

PARAMS = "params"


def start(state: TrainState, model: Model) -> tuple[TrainState, dict[str, str]]:
    """The fresh state with the published weights of encoders, and {modality: its file}.

    The optimiser's state stays: before the first step it depends on shapes alone.

    Raises:
        UserError: a file does not fit its encoder, or cannot be read; the message names the flag.
        MissingFileError: there is no such file; names the flag.
    """
    files = {}
    for modality, encoder in sorted(model.encoders.items()):
        file = getattr(encoder, "weights", None)
        if file is None:
            continue
        name = model.path_of(modality)
        trees = {kind: tree[name] for kind, tree in state.variables.items() if name in tree}
        try:
            loaded = load(encoder, file, trees)
        except FileNotFoundError as error:
            raise MissingFileError(f"--model.encoders.{modality}.weights {error}") from error
        except (ValueError, OSError) as error:
            raise UserError(f"--model.encoders.{modality}.weights {error}") from error
        state = _with(state, name, jax.tree.map(_as, loaded, trees))
        files[modality] = file
    return state, files


def _as(new: Any, old: jax.Array) -> jax.Array:
    # A copy: the next step gives its buffers away.
    return jnp.array(new, old.dtype)


def _with(state: TrainState, name: str, trees: Mapping[str, Any]) -> TrainState:
    """The state with another subtree of that name in each kind of variables."""
    variables = {
        kind: {**tree, name: trees[kind]} if kind in trees else tree
        for kind, tree in state.variables.items()
    }
    params = variables.pop(PARAMS)
    average = None if state.average is None else jax.tree.map(jnp.copy, params)
    return dataclasses.replace(state, params=params, collections=variables, average=average)
