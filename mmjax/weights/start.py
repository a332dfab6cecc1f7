"""Where a training starts: from published weights, or from the variables of a run."""

import dataclasses
from collections.abc import Mapping, Sequence
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


def begin(state: TrainState, model: Model, init: str | None) -> tuple[TrainState, dict[str, str]]:
    """The fresh state with all that a training starts from, and {module: the file or run}.

    Runs count more than published weights, which these runs may have begun with themselves.

    Raises:
        UserError: as in `from_runs` and `from_files`.
        MissingFileError: there is no file of weights.
    """
    if init is None:
        return from_files(state, model)
    if _whole(init):
        return from_run(state, init), {}
    state, files = from_files(state, model)
    state, runs = from_runs(state, init)
    return state, files | runs


def _whole(init: str) -> bool:
    """Whether it names a run, not parts of runs."""
    return Path(init).is_dir() or "=" not in init


def from_runs(state: TrainState, init: str) -> tuple[TrainState, dict[str, str]]:
    """The fresh state with variables of finished runs, and {module: where it comes from}.

    Args:
        state: the fresh state; step and optimiser stay fresh
        init: parts of any runs, separated by commas, as
            `encoders.image=runs/a:encoders.photo,fusion=runs/b`; without a part of the run it is
            the one of the same name. A part may be inside a module: `encoders.image.projection`

    Raises:
        UserError: a folder is not a run, a part does not exist, or its variables have other shapes.
    """
    variables = {kind: dict(tree) for kind, tree in state.variables.items()}
    sources: dict[str, str] = {}
    for item in init.split(","):
        part, _, source = item.strip().partition("=")
        run, colon, other = source.rpartition(":")
        run, other = (run, other) if colon else (source, part)
        flag = f"--init {item.strip()}"
        stored = restore(Path(run)).variables
        to, at = _path(part), _path(other)
        found = {kind: _below(tree, at) for kind, tree in stored.items()}
        own = {kind: _below(tree, to) for kind, tree in variables.items()}
        for name, tree, where in ((part, own, "the model"), (other, found, run)):
            if not any(tree.values()):
                whole = variables if tree is own else stored
                known = ", ".join(sorted({n for kind in whole.values() for n in kind}))
                raise UserError(f"{flag}: {where} has no part {name!r}; its modules are {known}")
        own, found = ({kind: x for kind, x in t.items() if x} for t in (own, found))
        if lines := misfits(own, forms(found)):
            raise UserError("\n  ".join([f"{flag}: these parts are different:", *lines]))
        for kind, tree in found.items():
            variables[kind] = _replaced(variables[kind], to, tree)
        sources[to[0]] = f"{run}:{other}"
    return _with(state, variables), sources


def _path(part: str) -> tuple[str, ...]:
    """Where the variables of a part are: `encoders.image.x` in `encoders_image`, `x`."""
    family, *rest = part.split(".")
    if family in ("encoders", "heads") and rest:
        return (f"{family}_{rest[0]}", *rest[1:])
    return (family, *rest)


def _below(tree: Any, path: Sequence[str]) -> Any:
    for name in path:
        tree = tree.get(name, {}) if isinstance(tree, Mapping) else {}
    return tree if isinstance(tree, Mapping) else {path[-1]: tree}


def _replaced(tree: Mapping[str, Any], path: Sequence[str], new: Any) -> dict[str, Any]:
    name, *rest = path
    inner = tree[name]
    if not isinstance(inner, Mapping):
        return {**tree, **new}  # an array
    return {**tree, name: _replaced(inner, rest, new) if rest else new}


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
    """The fresh state with published weights of encoders and decoders, and {module: its file}.

    Raises:
        UserError: a file does not fit its part, or cannot be read; names the flag.
        MissingFileError: there is no such file; names the flag.
    """
    parts = [(f"encoders.{n}", model.path_of(n), part) for n, part in model.encoders.items()]
    parts += [
        (f"heads.{n}", model.path_of_head(n), part) for n, part in model.heads_by_output.items()
    ]
    files = {}
    variables = {kind: dict(tree) for kind, tree in state.variables.items()}
    for flag, path, part in parts:
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
        files[path] = file
    return _with(state, variables) if files else state, files


def _with(state: TrainState, variables: Mapping[str, Any]) -> TrainState:
    """The state with other variables; copies, since each step donates its state buffers."""
    copies = jax.tree.map(lambda old, new: jnp.array(new, old.dtype), state.variables, variables)
    params = copies.pop("params")
    average = None if state.average is None else jax.tree.map(jnp.copy, params)
    return dataclasses.replace(state, params=params, collections=copies, average=average)
