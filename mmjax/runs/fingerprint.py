"""Fingerprints of arrays: shape, type and a checksum of the bytes, by the array's path.

Orbax verifies no array's bytes: one changed bit on the disk is a wrong parameter, in silence.
"""

import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np

from mmjax.layers.tracing.paths import path_of

MOST_LINES = 14  # of a report; one more says how many are left out


def fingerprints(tree: Any) -> dict[str, dict[str, Any]]:
    """{path: {"shape", "dtype", "crc32"}}; copies each array to the host, one after the other."""
    return {path: {**_form(leaf), "crc32": _crc32(leaf)} for path, leaf in _leaves(tree)}


def changed(tree: Any, expected: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The paths at which a tree holds other arrays than were expected, or only one has any."""
    found = fingerprints(tree)
    return [path for path in sorted({*found, *expected}) if found.get(path) != expected.get(path)]


def forms(tree: Any) -> dict[str, dict[str, Any]]:
    """{path: {"shape", "dtype"}}, of arrays or of what only describes them."""
    return {path: _form(leaf) for path, leaf in _leaves(tree)}


def misfits(like: Any, stored: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """At most 15 lines, one for each path where `stored` has not the shape and type of `like`.

    Of `like` only shapes and types matter. An empty list: they fit.
    """
    wanted = forms(like)
    lines = [
        f"{path}: {_said(stored.get(path))} in the checkpoint, {_said(wanted.get(path))} expected"
        for path in sorted({*wanted, *stored})
        if _said(stored.get(path)) != _said(wanted.get(path))
    ]
    more = len(lines) - MOST_LINES
    return lines if more <= 1 else lines[:MOST_LINES] + [f"... and {more} more"]


def _leaves(tree: Any) -> Iterator[tuple[str, Any]]:
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        yield path_of(path), leaf


def _form(leaf: Any) -> dict[str, Any]:
    return {"shape": list(leaf.shape), "dtype": str(leaf.dtype)}


def _said(form: Mapping[str, Any] | None) -> str:
    return "absent" if form is None else f"{form['dtype']}{form['shape']}"


def _crc32(leaf: Any) -> str:
    flat = np.ascontiguousarray(np.asarray(leaf)).reshape(-1)
    return f"{zlib.crc32(flat.view(np.uint8).data):08x}"
