"""How close two trees of arrays are."""

import jax
import numpy as np


def largest_errors(got, expected) -> dict[str, float]:
    """Of every leaf, the largest difference over the largest entry expected; trees must match."""

    def error(ours, theirs) -> float:
        assert np.shape(ours) == np.shape(theirs)
        ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
        return float(np.max(np.abs(ours - theirs)) / np.max(np.abs(theirs)))

    errors = jax.tree_util.tree_leaves_with_path(jax.tree.map(error, got, expected))
    return {jax.tree_util.keystr(path): value for path, value in errors}


def assert_close(got, expected, tolerance: float = 1e-5) -> None:
    far = {name: e for name, e in largest_errors(got, expected).items() if not e <= tolerance}
    assert not far, far
