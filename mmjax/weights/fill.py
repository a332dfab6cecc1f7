"""Published tensors put into an encoder's variables: all of them, in their places, or none."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mmjax.errors import UserError
from mmjax.weights.names import renamed
from mmjax.weights.place import Place, Places

LISTED = 5  # names in an error, of each kind

Path = tuple[str, ...]


def fill(
    like: Mapping[str, Any], arrays: Mapping[str, np.ndarray], places: Places, unused: str
) -> dict[str, Any]:
    """`like` in float32, with the published arrays in their places.

    Names that match `unused` are passed by. What has no place among `arrays` stays as in `like`.

    Raises:
        UserError: tensors are missing, twice there, without a place, or do not fit; it names them.
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
    for name, place in _both(arrays, places):
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


def _both(arrays: Mapping[str, np.ndarray], places: Places) -> Iterator[tuple[str, Place]]:
    for name, several in places.items():
        if name in arrays:
            yield from ((name, place) for place in several)


def _path(keys: Any) -> Path:
    return tuple(key.key for key in keys)


def _fitted(x: np.ndarray, place: Place, slots: Mapping[Path, Any]) -> np.ndarray:
    """What goes to the place; UserError says why it cannot."""
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
