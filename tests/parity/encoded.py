"""What an image encoder of ours makes of published weights; without PyTorch."""

import functools

import jax
import numpy as np

from mmjax.weights.place import variables
from tests.parity.closeness import largest_errors


def folder(arrays, name):
    """The arrays under `name`, without it."""
    return {n.removeprefix(name): x for n, x in arrays.items() if n.startswith(name)}


def compare(encoder, places, unused, theirs, tolerance=1e-4):
    """Tokens, a missing image, and, where they are stored, a training step and its statistics."""
    given = variables(folder(theirs, "weight/"), places, unused)
    expected_shapes = jax.eval_shape(
        functools.partial(encoder.init, train=False),
        jax.random.key(0),
        theirs["image"],
        np.ones(len(theirs["image"]), bool),
    )
    shapes = jax.tree.map(lambda x: x.shape, (given, dict(expected_shapes)))
    assert shapes[0] == shapes[1]
    seen = np.ones(len(theirs["image"]), bool)
    hidden = np.arange(len(seen)) != 2

    @jax.jit
    def encode(image):
        everything = encoder.apply(given, image, seen, train=False)
        partly = encoder.apply(given, image, hidden, train=False)
        trained, after = encoder.apply(given, image, seen, train=True, mutable=["batch_stats"])
        return everything.values, partly, trained.values, after

    evaluated, partly, trained, after = encode(theirs["image"])
    pairs = {"eval": (evaluated, theirs["eval"])}
    pairs["seen"] = (partly.values[hidden], theirs["eval"][hidden])
    assert not np.any(partly.values[2]) and not np.any(partly.mask[2])
    if "train" in theirs:
        pairs["train"] = (trained, theirs["train"])
    if statistics := folder(theirs, "after/"):
        changed = {**folder(theirs, "weight/"), **statistics}
        expected = variables(changed, places, unused)["batch_stats"]
        pairs["statistics"] = (after["batch_stats"], expected)
    errors = {
        name: max(largest_errors(ours, expected).values())
        for name, (ours, expected) in pairs.items()
    }
    assert all(error <= tolerance for error in errors.values()), errors
    return errors
