"""Fingerprints of arrays by path: shape, type and a checksum of the bytes.

Orbax does not verify the bytes of arrays: one flipped bit on disk would be a wrong parameter.
"""

import zlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from mmjax.layers.tracing.paths import path_of

MOST_LINES = 14  # lines of a report, and one more that counts the rest

Forms = Mapping[str, Mapping[str, Any]]  # {path: {"shape", "dtype", ...}}


def forms(tree: Any) -> dict[str, dict[str, Any]]:
    """{path: {"shape", "dtype"}} of arrays or of `jax.ShapeDtypeStruct`."""
    return {
        path_of(path): {"shape": list(leaf.shape), "dtype": str(leaf.dtype)}
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }


def fingerprints(tree: Any) -> dict[str, dict[str, Any]]:
    """{path: {"shape", "dtype", "crc32"}}; copies one array at a time to the host."""
    checksums = [{"crc32": _crc32(leaf)} for leaf in jax.tree.leaves(tree)]
    pairs = zip(forms(tree).items(), checksums, strict=True)
    return {path: form | checksum for (path, form), checksum in pairs}


def changed(tree: Any, expected: Forms) -> list[str]:
    """The paths at which a tree differs from the expected fingerprints."""
    ours = fingerprints(tree)
    return [path for path in sorted({*ours, *expected}) if ours.get(path) != expected.get(path)]


def misfits(like: Any, stored: Forms) -> list[str]:
    """One line for each path at which shape or type differ, at most 15; empty where all fit."""
    wanted = forms(like)
    lines = [
        f"{path}: {_text(stored.get(path))} in the checkpoint, {_text(wanted.get(path))} expected"
        for path in sorted({*wanted, *stored})
        if _text(stored.get(path)) != _text(wanted.get(path))
    ]
    more = len(lines) - MOST_LINES
    return lines if more <= 1 else lines[:MOST_LINES] + [f"... and {more} more"]


def _text(form: Mapping[str, Any] | None) -> str:
    return "absent" if form is None else f"{form['dtype']}{form['shape']}"


def _crc32(leaf: Any) -> str:
    flat = np.ascontiguousarray(np.asarray(leaf)).reshape(-1)
    return f"{zlib.crc32(flat.view(np.uint8).data):08x}"
