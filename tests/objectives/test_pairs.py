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
