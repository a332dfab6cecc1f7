"""The same update everywhere: one device, pmap over 8, jit sharded over 8."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from mmjax.balance import JOINT, Auxiliary, Blend, OgmGe
from mmjax.devices import parallel
from mmjax.encoders import Cnn, Lstm
from mmjax.fusion import CrossAttention, MixtureOfExperts
from mmjax.heads import Logit
from mmjax.imputation import Generated, TrainingMean
from mmjax.models.multimodal import Multimodal
from mmjax.models.train_state import create_state
from mmjax.objectives import BinaryCrossEntropy
from mmjax.optim import Sgd
from mmjax.train.step.loss import auxiliary
from mmjax.train.step.step import train_step
from mmjax.types import Batch, Masked, MetricName
from tests.samples import target

pytestmark = pytest.mark.usefixtures("standard_promotion")
OBJECTIVES = {"match": BinaryCrossEntropy(output="match", target="match")}


def model(dropout=0.0):
    return Multimodal(
        encoders={"image": Cnn((4,), 8), "text": Lstm(20, 4, 8, dropout=dropout)},
        fusion=CrossAttention(8, 2),
        heads={"match": Logit(hidden=(8,))},
    )


def batch(step, size=16, weight=None):
    """Some examples miss a modality, some both; weights are uneven over the devices."""
    rng = np.random.default_rng(step)
    present = rng.random((2, size)) < 0.8
    lengths = rng.integers(0, 6, size) * present[1]
    return Batch(
        inputs={
            "image": Masked(rng.normal(size=(size, 4, 4, 1)).astype(np.float32), present[0]),
            "text": Masked(
                rng.integers(2, 20, (size, 5)).astype(np.int32),
                np.arange(5)[None] < lengths[:, None],
            ),
        },
        targets={"match": target(rng.integers(0, 2, size).astype(np.float32))},
        weight=rng.integers(0, 3, size).astype(np.float32) if weight is None else weight,
        ids=np.arange(size),
    )


@functools.cache
def trained(wrapper, devices, steps, dropout=0.0):
    """The final state and the losses of a short training."""
    network = model(dropout)
    tx = Sgd(peak_lr=0.2, schedule="constant", warmup=0.0, momentum=0.9).chain(steps)
    step = functools.partial(train_step, model=network, objectives=OBJECTIVES, tx=tx)
    mesh = parallel.mesh_of(devices)
    update = parallel.WRAPPERS[wrapper](step, mesh)
    state = parallel.replicate(create_state(network, tx, batch(0), seed=0), mesh)
    losses = []
    for number in range(steps):
        state, sums = update(state, batch(number))
        losses.append(float(sums[MetricName("match", "loss")].mean()))
    return state, losses


def close(left, right, tolerance):
    """To `tolerance`, or for large numbers to as much of themselves."""
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=tolerance, rtol=tolerance), left, right
    )


@pytest.mark.parametrize("wrapper", ["pmap", "jit"])
def test_eight_devices_make_the_same_update_as_one(wrapper):
    expected, expected_losses = trained("jit", 1, 1)
    state, losses = trained(wrapper, 8, 1)
    close(state.params, expected.params, 1e-6)
    close(losses, expected_losses, 1e-6)


@pytest.mark.parametrize("wrapper", ["pmap", "jit"])
def test_they_stay_together_for_20_steps(wrapper):
    expected, expected_losses = trained("jit", 1, 20)
    state, losses = trained(wrapper, 8, 20)
    close(state.params, expected.params, 1e-5)
    close(losses, expected_losses, 1e-5)
    assert np.ptp(expected_losses) > 0.1


def test_under_jit_dropout_draws_the_same_masks_on_any_number_of_devices():
    expected, _ = trained("jit", 1, 3, 0.5)
    close(trained("jit", 8, 3, 0.5)[0].params, expected.params, 1e-6)
    without, _ = trained("jit", 1, 3, 0.0)
    assert any(
        jax.tree.leaves(jax.tree.map(lambda a, b: np.any(a != b), expected.params, without.params))
    )


def test_under_pmap_each_device_draws_dropout_masks_of_its_own():
    """Eight copies of one example: with equal masks all devices' losses would agree."""
    one = jax.tree.map(lambda x: np.repeat(x[:1], 8, axis=0), batch(1, 8, np.ones(8, np.float32)))
    network = model(0.5)
    state = create_state(network, Sgd().chain(1), one, seed=0)
    tx = Sgd(warmup=0.0).chain(1)

    def share(state, batch):
        key = jax.random.fold_in(jax.random.wrap_key_data(state.key), state.step)
        key = jax.random.fold_in(key, jax.lax.axis_index("data"))
        return network.apply(state.variables, batch.inputs, train=True, rngs={"dropout": key})

    logits = jax.pmap(share, axis_name="data", in_axes=(None, 0))(
        state, jax.tree.map(lambda x: x[:, None], one)
    ).values["match"]
    assert len(np.unique(logits)) == 8
    mean_of_each = jnp.mean(
        jnp.log1p(jnp.exp(jnp.where(one.targets["match"].values > 0, -1, 1) * logits[:, 0]))
    )
    update = parallel.pmap(
        functools.partial(train_step, model=network, objectives=OBJECTIVES, tx=tx),
        parallel.mesh_of(8),
    )
    _, sums = update(state, one)
    np.testing.assert_allclose(sums[MetricName("match", "loss")].mean(), mean_of_each, rtol=1e-5)


def test_a_batch_of_fillers_changes_nothing():
    network, tx = model(), Sgd(warmup=0.0).chain(1)
    state = create_state(network, tx, batch(0), seed=0)
    update = jax.jit(
        functools.partial(train_step, model=network, objectives=OBJECTIVES, tx=tx, axis=None)
    )
    after, sums = update(state, batch(0, weight=np.zeros(16, np.float32)))
    close(after.params, state.params, 0.0)
    assert (
        sums[MetricName("match", "loss")].count == 0
        and sums[MetricName("match", "loss")].mean() == 0
    )


def test_a_seed_is_a_start_of_its_own():
    tx = Sgd().chain(1)
    first, again, other = (create_state(model(), tx, batch(0), seed=seed) for seed in (0, 0, 1))
    close(first.params, again.params, 0.0)
    assert np.any(
        first.params["fusion"]["join"]["streams"]["image"]["kernel"]
        != other.params["fusion"]["join"]["streams"]["image"]["kernel"]
    )


class Counter(nn.Module):
    """A head with a statistic of its own: the mean of what it saw."""

    @nn.compact
    def __call__(self, tokens, *, train):
        mean = self.variable("statistics", "mean", lambda: jnp.zeros(()))
        count = self.variable("statistics", "count", lambda: jnp.zeros((), jnp.int32))
        if train:
            mean.value = jnp.mean(tokens.values)
            count.value = count.value + 1
        return Logit(hidden=())(tokens, train=train)


@pytest.mark.parametrize("wrapper", ["pmap", "jit"])
def test_collections_are_those_of_the_global_batch(wrapper):
    network = dataclasses.replace(model(), heads={"match": Counter()})
    tx = Sgd().chain(1)
    state = create_state(network, tx, batch(0), seed=0)
    step = functools.partial(train_step, model=network, objectives=OBJECTIVES, tx=tx)
    found = [
        parallel.WRAPPERS[name](step, parallel.mesh_of(count))(state, batch(0))[0]
        for name, count in ((wrapper, 8), ("jit", 1))
    ]
    close(found[0].collections, found[1].collections, 1e-6)
    statistics = found[0].collections["statistics"]["heads_match"]
    assert statistics["mean"] != 0
    assert statistics["count"] == 1 and statistics["count"].dtype == jnp.int32


@functools.cache
def updated(wrapper, devices, balance, fields):
    """State and sums of a training of a changed model."""
    network = dataclasses.replace(model(), **dict(fields))
    tx = Sgd(peak_lr=0.2, schedule="constant", warmup=0.0).chain(2)
    step = functools.partial(
        train_step, model=network, objectives=OBJECTIVES, tx=tx, balance=balance
    )
    update = parallel.WRAPPERS[wrapper](step, parallel.mesh_of(devices))
    state = create_state(network, tx, batch(0), seed=0)
    sums = {}
    for number in range(2):
        state, sums = update(state, batch(number))
    return state, sums


@pytest.mark.parametrize("wrapper", ["pmap", "jit"])
@pytest.mark.parametrize(
    "balance, fields",
    [
        (JOINT, (("imputation", Generated((4,))), ("fusion", MixtureOfExperts(dim=8)))),
        (JOINT, (("imputation", TrainingMean()),)),
        (OgmGe(alpha=1.0), (("unimodal", "probe"),)),
        (Auxiliary(0.5), (("unimodal", "train"),)),
    ],
    ids=["losses of modules", "running means", "ogm_ge", "auxiliary"],
)
def test_what_modules_and_balances_add_is_the_same_on_any_number_of_devices(
    wrapper, balance, fields
):
    expected, expected_sums = updated("jit", 1, balance, fields)
    state, sums = updated(wrapper, 8, balance, fields)
    close(state.params, expected.params, 2e-6)
    close(state.collections, expected.collections, 1e-6)
    close(sums, expected_sums, 1e-4)
    assert any(name.source == "auxiliary" or name.part == "image" for name in sums) or (
        state.collections["statistics"]["imputation"]["count_image"] > 0
    )


def test_losses_of_modules_are_named_by_their_place_and_train_it():
    fields = (("imputation", Generated((4,))), ("fusion", MixtureOfExperts(dim=8)))
    _, sums = updated("jit", 1, JOINT, fields)
    names = {str(name) for name in sums if name.source == "auxiliary"}
    assert names == {
        "auxiliary/fusion/balance",
        "auxiliary/imputation/reconstruction_image",
        "auxiliary/imputation/reconstruction_text",
    }
    network = dataclasses.replace(model(), **dict(fields))
    tx = Sgd().chain(1)
    start = create_state(network, tx, batch(0), seed=0)
    assert set(start.collections) == {"statistics"}
    # Where nothing is missing only its own loss can reach the generator.
    whole = jax.tree.map(lambda x: np.ones_like(x) if x.dtype == bool else x, batch(0))
    step = functools.partial(train_step, model=network, objectives=OBJECTIVES, tx=tx, axis=None)
    after, _ = jax.jit(step)(start, whole)
    before, after = (s.params["imputation"]["generate_image"] for s in (start, after))
    assert any(jax.tree.leaves(jax.tree.map(lambda a, b: np.any(a != b), before, after)))


def test_a_probe_does_not_touch_the_encoders_and_an_auxiliary_loss_does():
    plain, _ = updated("jit", 1, JOINT, ())
    probed, sums = updated("jit", 1, JOINT, (("unimodal", "probe"),))
    trained_too, _ = updated("jit", 1, Auxiliary(0.5), (("unimodal", "train"),))
    assert {"match/image/loss", "match/text/accuracy"} <= set(map(str, sums))
    for part in ("encoders_image", "fusion", "heads_match"):
        close(probed.params[part], plain.params[part], 1e-7)
    kernel = ("encoders_image", "projection", "kernel")
    read = functools.partial(functools.reduce, lambda tree, key: tree[key], kernel)
    assert np.max(np.abs(read(trained_too.params) - read(plain.params))) > 1e-5


def test_equal_blending_weights_are_auxiliary_losses():
    fields = (("unimodal", "train"),)
    blended = Blend(joint=1.0, weights={"image": 0.5, "text": 0.5})
    step = functools.partial(
        train_step,
        model=dataclasses.replace(model(), **dict(fields)),
        objectives=OBJECTIVES,
        tx=Sgd(peak_lr=0.2, schedule="constant", warmup=0.0).chain(2),
        axis=None,
    )
    start = create_state(step.keywords["model"], step.keywords["tx"], batch(0), seed=0)
    first, second, other = (
        jax.jit(functools.partial(step, balance=balance))(start, batch(0))[0].params
        for balance in (blended, Auxiliary(0.5), Blend(joint=0.2))
    )
    close(first, second, 1e-7)
    distance = jax.tree.map(lambda a, b: np.max(np.abs(a - b)), first, other)
    assert max(jax.tree.leaves(distance["heads_match"])) > 1e-5


def test_a_modality_alone_answers_for_the_examples_that_have_it():
    network = dataclasses.replace(model(), unimodal="probe")
    tx = Sgd().chain(1)
    given = batch(0, weight=np.ones(16, np.float32))
    state = create_state(network, tx, given, seed=0)
    step = functools.partial(train_step, model=network, objectives=OBJECTIVES, tx=tx, axis=None)
    _, sums = jax.jit(step)(state, given)
    assert sums[MetricName("match", "accuracy")].count == 16
    assert (
        sums[MetricName("match", "accuracy", "image")].count
        == given.inputs["image"].mask.sum()
        < 16
    )
    there = given.inputs["text"].mask.any(axis=1)
    assert sums[MetricName("match", "confidence", "text")].count == there.sum() < 16


def test_fillers_change_neither_the_losses_nor_the_statistics_of_modules():
    fields = (("imputation", Generated((4,))), ("fusion", MixtureOfExperts(dim=8, decay=0.5)))
    network = dataclasses.replace(model(), **dict(fields))
    tx = Sgd().chain(1)
    weight = np.repeat(np.array([1, 0], np.float32), 8)
    given = batch(0, weight=weight)
    state = create_state(network, tx, given, seed=0)
    step = functools.partial(train_step, model=network, objectives=OBJECTIVES, tx=tx, axis=None)
    update = jax.jit(step)
    image = given.inputs["image"]
    loud = image.values.copy()
    loud[8:] = 1e30
    other = dataclasses.replace(given, inputs={**given.inputs, "image": Masked(loud, image.mask)})
    (after, sums), (changed, changed_sums) = update(state, given), update(state, other)
    close(changed.params, after.params, 0.0)
    close(changed.collections, after.collections, 0.0)
    close(changed_sums, sums, 0.0)
    half = jax.tree.map(lambda x: x[:8], given)
    _, expected = update(state, half)
    for name in (
        MetricName("auxiliary", "reconstruction_image", "imputation"),
        MetricName("auxiliary", "balance", "fusion"),
    ):
        np.testing.assert_allclose(sums[name].mean(), expected[name].mean(), rtol=1e-5)


def test_every_step_draws_dropout_masks_of_its_own():
    network = model(0.5)
    tx = Sgd(peak_lr=1e-12, warmup=0.0).chain(9)
    state = create_state(network, tx, batch(0), seed=0)
    step = functools.partial(train_step, model=network, objectives=OBJECTIVES, tx=tx, axis=None)
    update = jax.jit(step)
    losses = []
    for _ in range(3):
        state, sums = update(state, batch(0))
        losses.append(float(sums[MetricName("match", "loss")].mean()))
    assert len(set(losses)) == 3


def test_an_objective_of_weight_zero_trains_nothing():
    network, tx = model(), Sgd(warmup=0.0).chain(1)
    state = create_state(network, tx, batch(0), seed=0)
    silent = {"match": BinaryCrossEntropy(weight=0.0, output="match", target="match")}
    step = functools.partial(train_step, model=network, objectives=silent, tx=tx, axis=None)
    after, sums = jax.jit(step)(state, batch(0))
    close(after.params, state.params, 0.0)
    assert sums[MetricName("match", "loss")].mean() > 0


def test_what_a_filler_records_is_not_counted_whatever_it_is():
    recorded = {"fusion": {"load": (jnp.array([1.0, jnp.inf, 3.0]), jnp.array([1.0, 1.0, 0.5]))}}
    three = batch(0, 3, np.array([2, 0, 1], np.float32))
    (sums,) = auxiliary(recorded, three).values()
    assert sums.total == 5.0 and sums.count == 2.5
