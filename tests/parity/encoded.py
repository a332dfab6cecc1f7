"""What an encoder of ours makes of published weights; without PyTorch."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from mmjax.layers.tokens.masking import clear
from mmjax.weights.load import convert
from tests.parity.closeness import largest_errors


def folder(arrays, name):
    """The arrays under `name`, without it."""
    return {n.removeprefix(name): x for n, x in arrays.items() if n.startswith(name)}


def inputs(theirs):
    """(values, mask): all of its images, or texts with their words."""
    if "image" in theirs:
        return theirs["image"], np.ones(len(theirs["image"]), bool)
    return theirs["word"], theirs["mask"]


def like(encoder, theirs):
    """The shapes of the encoder's variables."""
    init = functools.partial(encoder.init, train=False)
    return dict(jax.eval_shape(init, jax.random.key(0), *inputs(theirs)))


def compare(encoder, theirs, tolerance=1e-4):
    """Tokens, a missing example, and, where they are stored, a training step and its statistics."""
    shapes = like(encoder, theirs)
    # Of shapes there is no value to keep: every variable has got a published one, or this fails.
    given = convert(encoder, folder(theirs, "weight/"), shapes)
    values, seen = inputs(theirs)
    there = np.arange(len(seen)) != 2
    hidden = np.asarray(clear(seen, there))

    @jax.jit
    def encode(values):
        everything = encoder.apply(given, values, seen, train=False)
        partly = encoder.apply(given, values, hidden, train=False)
        trained, after = encoder.apply(given, values, seen, train=True, mutable=["batch_stats"])
        return everything, partly, trained.values, after

    evaluated, partly, trained, after = encode(jnp.asarray(values))
    expected_mask = np.broadcast_to(seen.reshape(len(seen), -1), evaluated.mask.shape)
    np.testing.assert_array_equal(evaluated.mask, expected_mask)
    pairs = {"eval": (evaluated.values, theirs["eval"])}
    pairs["seen"] = (partly.values[there], theirs["eval"][there])
    assert not np.any(partly.values[2]) and not np.any(partly.mask[2])
    if "train" in theirs:
        pairs["train"] = (trained, theirs["train"])
    if statistics := folder(theirs, "after/"):
        changed = {**folder(theirs, "weight/"), **statistics}
        pairs["statistics"] = (
            after["batch_stats"],
            convert(encoder, changed, shapes)["batch_stats"],
        )
    errors = {
        name: max(largest_errors(ours, expected).values())
        for name, (ours, expected) in pairs.items()
    }
    assert all(error <= tolerance for error in errors.values()), errors
    return errors
