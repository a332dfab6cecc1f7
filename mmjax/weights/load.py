"""Loads published weights into variables of encoders and decoders; every tensor has its place."""

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from mmjax.errors import UserError
from mmjax.weights import PUBLISHED, files
from mmjax.weights.place import Place, Places

LISTED = 5  # names of each kind in an error
# A network's name within a larger one.
PREFIXES = ("bert.", "vit.", "transformer.", "model.")
# TensorFlow's names for a norm's scale and bias, as in the first files of BERT.
SPELLINGS = {"gamma": "weight", "beta": "bias"}

Slot = tuple[str, ...]  # the path of an array


def load(encoder: nn.Module, file: str | Path, like: Mapping[str, Any]) -> dict[str, Any]:
    """The encoder's variables in float32: published values, and those of `like` for the rest.

    Args:
        encoder: the encoder
        file: a safetensors file, the index of several, or a folder with one of them
        like: the encoder's own variables, as initialised

    Raises:
        UserError: no converter for this encoder, a broken file, or weights of another network.
        MissingFileError: there is no such file.
    """
    _published(encoder)
    arrays = files.read(Path(file))
    try:
        return convert(encoder, arrays, like)
    except ValueError as error:
        raise UserError(f"{file}: {error}") from error


def convert(
    encoder: nn.Module, arrays: Mapping[str, np.ndarray], like: Mapping[str, Any]
) -> dict[str, Any]:
    """The encoder's variables with the arrays of a file, by their published names; see `load`."""
    published = _published(encoder)
    return fill(like, arrays, published.places(encoder), published.UNUSED)


def _published(encoder: nn.Module) -> Any:
    if type(encoder) not in PUBLISHED:
        raise UserError(
            f"no converter for published weights of {type(encoder).__name__}; available for "
            + ", ".join(cls.__name__ for cls in PUBLISHED)
        )
    return PUBLISHED[type(encoder)]


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
    slots = {_slot(keys): x for keys, x in jax.tree_util.tree_leaves_with_path(like)}
    wrong = {
        "missing": [name for name in places if name not in arrays],
        "surplus": [
            published
            for name, published in names.items()
            if name not in places and not re.fullmatch(unused, name)
        ],
        "misshapen": [],
    }
    filled: dict[Slot, np.ndarray] = {}
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
        lambda keys, x: np.array(filled.get(_slot(keys), x), np.float32, order="C"), dict(like)
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


def _slot(keys: Any) -> Slot:
    return tuple(key.key for key in keys)


def _fitted(x: np.ndarray, place: Place, slots: Mapping[Slot, Any]) -> np.ndarray:
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
