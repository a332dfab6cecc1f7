"""Puts published tensors into the variables of an encoder; every tensor must have its place."""

import re
from collections.abc import Collection, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mmjax.errors import UserError
from mmjax.weights.place import Place, Places

LISTED = 5  # names of each kind in an error
# A network's name within a larger one.
PREFIXES = ("bert.", "vit.", "transformer.", "model.")
# TensorFlow's names for a norm's scale and bias, as in the first files of BERT.
SPELLINGS = {"gamma": "weight", "beta": "bias"}

Path = tuple[str, ...]


def fill(
    like: Mapping[str, Any], arrays: Mapping[str, np.ndarray], places: Places, unused: str
) -> dict[str, Any]:
    """`like` in float32, with the published arrays in their places.

    Names that match the pattern `unused` are ignored. Variables without a published array stay.

    Raises:
        UserError: tensors are missing, duplicate, without a place, or do not fit; names them.
    """
    names = renamed(arrays, places)
    arrays = {name: arrays[published] for name, published in names.items()}
    slots = {_path(keys): x for keys, x in jax.tree_util.tree_leaves_with_path(like)}
    wrong = {
        "missing": [name for name in places if name not in arrays],
        "surplus": [
            published
            for name, published in names.items()
            if name not in places and not re.fullmatch(unused, name)
        ],
        "misshapen": [],
    }
    filled: dict[Path, np.ndarray] = {}
    present = [(n, place) for n, several in places.items() if n in arrays for place in several]
    for name, place in present:
        try:
            value = _fitted(arrays[name], place, slots)
        except ValueError as error:
            wrong["misshapen"].append(f"{name} {error}")
            continue
        filled[place.path] = filled[place.path] + value if place.path in filled else value
    if any(wrong.values()):
        raise UserError(_report(wrong))
    # Copies: no array of the result is a view of another, or of `like`.
    return jax.tree_util.tree_map_with_path(
        lambda keys, x: np.array(filled.get(_path(keys), x), np.float32, order="C"), dict(like)
    )


def renamed(published: Collection[str], known: Collection[str]) -> dict[str, str]:
    """{name: published name}, without the prefix under which most known names are found.

    Names without the prefix, such as those of a head, stay.

    Raises:
        UserError: two names become the same.
    """
    spelled = {
        name: re.sub(r"(?<=LayerNorm\.)(gamma|beta)$", lambda match: SPELLINGS[match[1]], name)
        for name in published
    }

    def count(prefix: str) -> int:
        names = (new.removeprefix(prefix) for new in spelled.values() if new.startswith(prefix))
        return sum(name in known for name in names)

    prefix = max(("", *PREFIXES), key=count)
    result: dict[str, str] = {}
    for old, new in spelled.items():
        short = new.removeprefix(prefix)
        if short in result:
            raise UserError(f"{result[short]} and {old} are both {short}")
        result[short] = old
    return result


def _path(keys: Any) -> Path:
    return tuple(key.key for key in keys)


def _fitted(x: np.ndarray, place: Place, slots: Mapping[Path, Any]) -> np.ndarray:
    """The tensor as it goes to its place; UserError if it does not fit."""
    if place.path not in slots:
        raise UserError(f"has no place: the encoder has no {'/'.join(place.path)}")
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise UserError(f"is of {x.dtype}, expected floating point")
    shape = tuple(slots[place.path].shape)
    wanted = f"expected {shape} at {'/'.join(place.path)}"
    try:
        turned = place.transform(x)
        value = place.fit(turned, shape)
    except (ValueError, IndexError, TypeError) as error:
        raise UserError(f"{x.shape}: {wanted} ({error})") from error
    if value.shape != shape:
        became = "" if turned.shape == x.shape else f" becomes {turned.shape}"
        raise UserError(f"{x.shape}{became}, {wanted}")
    return value


def _report(wrong: Mapping[str, list[str]]) -> str:
    counts = ", ".join(f"{len(names)} {kind}" for kind, names in wrong.items() if names)
    lines = [f"these are the weights of another architecture ({counts}):"]
    for kind, names in wrong.items():
        lines += [f"  {kind}: {name}" for name in names[:LISTED]]
        if len(names) > LISTED:
            lines.append(f"  {kind}: and {len(names) - LISTED} more")
    return "\n".join(lines)
