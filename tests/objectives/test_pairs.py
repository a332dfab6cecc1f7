"""Objectives of pairs: by hand, on 8 devices as on one, in any chunks."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmjax.devices import parallel
from mmjax.errors import UserError
from mmjax.layers.tracing import collectives
from mmjax.objectives import InfoNce, PairwiseSigmoid, Triplet
from mmjax.objectives.duplicates import fingerprint
from mmjax.testing.pairs import batch_of
from mmjax.types import Batch, Masked, Outputs
from tests import samples

PAIRS = [pytest.param(*one, id=name) for name, *one in samples.pairs() if len(one) == 1]


def matrices(objective):
    """Cosines in both directions, and the pairs that belong together, of the rows that count."""
    outputs, _, counted = batch_of()
    image, text = (outputs.values["embedding"]["vectors"][n][counted] for n in ("image", "text"))
    rows = np.flatnonzero(counted)
    group = rows if objective.target is None else np.where(rows == 7, 100, [0, 3, 3, 5, 7])
    return (image @ text.T, text @ image.T), group[:, None] == group[None]


def by_hand(objective):
    both, same = matrices(objective)
    losses = []
    for cosines in both:
        for row, right in zip(cosines, same, strict=True):
            match objective:
                case InfoNce():
                    p = np.exp(5 * row) / np.exp(5 * row).sum()
                    losses.append(-np.log(p[right]).mean())
                case PairwiseSigmoid():
                    sign = np.where(right, 1, -1)
                    losses.append(np.log1p(np.exp(-sign * (5 * row - 2))).sum())
                case Triplet():
                    losses.append(max(0, 0.2 + row[~right].max() - row[right].min()))
    return np.mean(losses)


@pytest.mark.parametrize("objective", PAIRS)
def test_the_loss_is_what_the_formula_says(objective):
    outputs, batch, counted = batch_of()
    found = objective(outputs, batch)["loss"]
    np.testing.assert_allclose(found.mean(), by_hand(objective), rtol=1e-5)
    assert float(found.count) == counted.sum()


def many(size=32):
    rng = np.random.default_rng(1)
    vectors = {name: rng.normal(size=(size, 6)).astype(np.float32) for name in ("a", "b")}
    present = {name: rng.random(size) < 0.9 for name in vectors}
    group = np.repeat(rng.integers(0, 20, (size, 1)), 2, axis=1).astype(np.int32)
    targets = {"group": Masked(group, rng.random(size) < 0.9)}
    weight = rng.integers(0, 3, size).astype(np.float32)
    return vectors, present, Batch({}, targets, weight, np.arange(size))


def update(scale, given, *, axis, objective):
    vectors, present, batch = given
    with collectives.over(axis):

        def share(scale):
            moved = {name: jnp.tanh(scale[None] * x) for name, x in vectors.items()}
            values = {"vectors": moved, "scale": jnp.asarray(3.0), "bias": jnp.asarray(-1.0)}
            own = objective(Outputs({"embedding": values}, present=present), batch)
            total = collectives.total(own["loss"].count)
            return own["loss"].total / total, (own["accuracy"].total / total)

        (loss, right), slope = jax.value_and_grad(share, has_aux=True)(scale)
        return scale, collectives.total((loss, right, slope))


@pytest.mark.parametrize("wrapper", ["pmap", "jit"])
@pytest.mark.parametrize("objective", PAIRS)
def test_it_is_the_same_on_8_devices_as_on_one_and_in_any_chunks(wrapper, objective):
    scale, given = jnp.arange(1.0, 7.0) / 6, many()
    _, expected = update(scale, given, axis=None, objective=objective)
    step = functools.partial(update, objective=dataclasses.replace(objective, chunk=3))
    _, found = parallel.WRAPPERS[wrapper](step, parallel.mesh_of(8))(scale, given)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5, rtol=1e-5)
    assert np.all(np.abs(expected[2]) > 1e-5)


def test_a_group_that_is_one_example_after_the_other_changes_nothing():
    vectors, present, batch = many()
    values = {"vectors": vectors, "scale": jnp.asarray(3.0), "bias": jnp.asarray(0.0)}
    outputs = Outputs({"embedding": values}, present=present)
    own = np.stack([np.arange(32, dtype=np.int32)] * 2, axis=1)
    grouped = dataclasses.replace(batch, targets={"group": Masked(own, np.ones(32, bool))})
    alone = InfoNce()(outputs, batch)["loss"].total
    np.testing.assert_allclose(InfoNce(target="group")(outputs, grouped)["loss"].total, alone)


@pytest.mark.parametrize("objective", [InfoNce(), PairwiseSigmoid(), Triplet()], ids=repr)
def test_rows_with_the_same_text_belong_together_as_those_of_a_group_do(objective):
    vectors, present, batch = many()
    vectors["b"][9] = 9 * vectors["a"][3]  # the hardest of others
    rng = np.random.default_rng(2)
    words, mask = rng.integers(1, 99, (32, 5)).astype(np.int32), np.ones((32, 5), bool)
    words[9], mask[3, 4:], mask[9, 4:] = words[3], False, False
    words[9, 4] += 1  # under the mask
    pixels = rng.normal(size=(32, 4, 4, 3)).astype(np.float32)
    seen = {"a": Masked(pixels, np.ones(32, bool)), "b": Masked(words, mask)}
    values = {"vectors": vectors, "scale": jnp.asarray(3.0), "bias": jnp.asarray(0.0)}
    outputs = Outputs({"embedding": values}, present={name: np.ones(32, bool) for name in present})
    batch = dataclasses.replace(batch, inputs=seen, weight=np.ones(32, np.float32))
    group = np.stack([np.where(np.arange(32) == 9, 3, np.arange(32)).astype(np.int32)] * 2, axis=1)
    targets = {"group": Masked(group, np.ones(32, bool))}
    grouped = dataclasses.replace(batch, inputs={}, targets=targets)
    of_group = dataclasses.replace(objective, target="group")(outputs, grouped)["loss"].total
    np.testing.assert_allclose(objective(outputs, batch)["loss"].total, of_group, rtol=1e-6)
    alone = objective(outputs, dataclasses.replace(batch, inputs={}))["loss"].total
    assert abs(float(alone) - float(of_group)) > 1e-3
    np.testing.assert_array_equal(objective.record(outputs, batch)["group"][:, 0], np.arange(32))


def test_fingerprints_differ_where_rows_do():
    rows = np.array([[1, 2, 3], [1, 3, 2], [1, 2, 0], [1, 2, 9], [0, 2, 3], [1, 2, 3]], np.int32)
    mask = np.array([[1, 1, 1], [1, 1, 1], [1, 1, 1], [1, 1, 0], [1, 1, 1], [1, 1, 1]], bool)
    found = np.asarray(fingerprint(Masked(rows, mask)))
    assert len(np.unique(found, axis=0)) == 5 and np.array_equal(found[0], found[5])
    numbers = np.random.default_rng(0).normal(size=(20_000, 2)).astype(np.float32)
    found = np.asarray(fingerprint(Masked(numbers, np.ones((20_000, 2), bool))))
    assert len(np.unique(found, axis=0)) == 20_000
    assert abs(np.mean(np.unpackbits(found.view(np.uint8))) - 0.5) < 0.01


def test_modalities_that_are_not_two_are_named():
    vectors, present, batch = many()
    vectors["c"], present["c"] = vectors["a"], present["a"]
    values = {"vectors": vectors, "scale": jnp.ones(()), "bias": jnp.zeros(())}
    outputs = Outputs({"embedding": values}, present=present)
    with pytest.raises(UserError, match=r"expected two modalities of \['a', 'b', 'c'\]"):
        InfoNce()(outputs, batch)
    assert InfoNce(modalities=("c", "b"))(outputs, batch)["loss"].total > 0
    with pytest.raises(UserError, match="two modalities"):
        InfoNce(modalities=("a",))
