"""In parts the update is that of the whole batch."""

import dataclasses
import functools

import jax
import numpy as np
import pytest

from mmjax.devices import parallel
from mmjax.encoders import Cnn, Lstm
from mmjax.fusion import MixtureOfExperts
from mmjax.heads import Logit
from mmjax.models.multimodal import Multimodal
from mmjax.models.train_state import create_state
from mmjax.optim import Sgd
from mmjax.train.step.gradient import accumulated
from mmjax.train.step.step import train_step
from mmjax.types import MetricName, WeightedMean
from tests.samples import target
from tests.train.step.test_step import OBJECTIVES, batch, close, model

pytestmark = pytest.mark.usefixtures("standard_promotion")


@functools.cache
def updated(wrapper, parts, missing=False):
    """After one step on 2 devices; with `missing`, all of one part's examples weigh nothing."""
    network = model()
    weight = np.arange(16, dtype=np.float32) % 4 if missing else None
    tx = Sgd(peak_lr=0.2, schedule="constant", warmup=0.0).chain(1)
    step = functools.partial(
        train_step, model=network, objectives=OBJECTIVES, tx=tx, rule=accumulated(parts), ema=0.5
    )
    mesh = parallel.mesh_of(2)
    start = create_state(network, tx, batch(0), seed=0, ema=0.5)
    update = parallel.WRAPPERS[wrapper](step, mesh)
    return update(parallel.replicate(start, mesh), batch(0, weight=weight))


@pytest.mark.parametrize("wrapper", parallel.WRAPPERS)
@pytest.mark.parametrize("missing", [False, True])
def test_four_parts_make_the_update_of_the_whole(wrapper, missing):
    expected, sums = updated("jit", 1, missing)
    found, in_parts = updated(wrapper, 4, missing)
    close((found.params, found.average), (expected.params, expected.average), 1e-6)
    close(in_parts, sums, 1e-5)
    assert found.step == 1


def test_modules_own_losses_are_averaged_over_the_whole_batch_too():
    network = Multimodal(
        encoders={"image": Cnn((4,), 8), "text": Lstm(20, 4, 8)},
        fusion=MixtureOfExperts(8),
        heads={"match": Logit(hidden=(8,))},
    )
    tx = Sgd(peak_lr=0.2, schedule="constant", warmup=0.0).chain(1)
    start = create_state(network, tx, batch(0), seed=0)
    step = functools.partial(train_step, model=network, objectives=OBJECTIVES, tx=tx, axis=None)
    _, whole = jax.jit(step)(start, batch(0))
    _, parts = jax.jit(functools.partial(step, rule=accumulated(2)))(start, batch(0))
    assert any(name.source == "auxiliary" for name in whole)
    assert parts.keys() == whole.keys()
    assert {name: float(found.count) for name, found in parts.items()} == {
        name: float(found.count) for name, found in whole.items()
    }


def test_every_part_draws_with_a_key_of_its_own_and_passes_collections_on():
    def forward(params, seen, part, key):
        noise = jax.random.normal(key) * params
        return {
            MetricName("x", "loss"): WeightedMean(noise + 0 * part.weight.sum(), np.float32(1))
        }, seen + 1

    drawn = accumulated(3)(
        forward,
        lambda means: means[MetricName("x", "loss")].total,
        (np.float32(1), np.int32(0), batch(0, 6), jax.random.key(0)),
    )
    keys = [jax.random.fold_in(jax.random.key(0), number) for number in range(3)]
    np.testing.assert_allclose(drawn.grads, sum(map(jax.random.normal, keys)), rtol=1e-6)
    assert drawn.collections == 3


@pytest.mark.parametrize("wrapper", parallel.WRAPPERS)
@pytest.mark.parametrize("parts", [1, 2])
def test_a_missing_target_counts_for_nothing_whatever_stands_there(wrapper, parts):
    """NaN, and a label that is none: no loss, no metric, no gradient."""
    mask = np.arange(16) % 3 > 0
    labels = np.where(mask, np.arange(16) % 2, np.nan).astype(np.float32)
    labels[0] = 7.0
    given = batch(0)
    network = model()
    tx = Sgd(peak_lr=0.2, schedule="constant", warmup=0.0).chain(1)
    step = functools.partial(
        train_step, model=network, objectives=OBJECTIVES, tx=tx, rule=accumulated(parts)
    )
    mesh = parallel.mesh_of(2)
    state = parallel.replicate(create_state(network, tx, given, seed=0), mesh)
    update = parallel.WRAPPERS[wrapper](step, mesh)
    weightless = dataclasses.replace(
        given,
        targets={"match": target(np.where(mask, labels, 0.0).astype(np.float32))},
        weight=given.weight * mask,
    )
    # A row without weight is missing in every modality: here its inputs do not matter.
    missing = dataclasses.replace(given, targets={"match": target(labels, mask)})
    (found, means), (expected, others) = update(state, missing), update(state, weightless)
    close(found.params, expected.params, 1e-6)
    close(means, others, 1e-5)
    assert means[MetricName("match", "invalid")].total == 0
