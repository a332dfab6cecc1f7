"""The dual encoder: unit vectors, missing modalities, one side alone, alive parameters, a fit."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmjax.devices import parallel
from mmjax.encoders import Cnn, Lstm
from mmjax.errors import UserError
from mmjax.models import DualEncoder
from mmjax.models.train_state import create_state
from mmjax.objectives import InfoNce, PairwiseSigmoid
from mmjax.optim import Adam, Sgd
from mmjax.train.step.step import train_step
from tests.train.step.test_step import batch

pytestmark = pytest.mark.usefixtures("standard_promotion")


def model(**fields):
    encoders = {"image": Cnn((4,), 8), "text": Lstm(20, 4, 8)}
    return DualEncoder(encoders=encoders, dim=6, hidden=(5,), **fields)


@pytest.fixture(scope="module")
def variables():
    inputs = batch(0).inputs
    return jax.jit(lambda: model(bias=-10.0).init(jax.random.key(0), inputs, train=False))()


def test_vectors_are_units_and_zeros_where_the_modality_is_missing(variables):
    inputs = batch(0).inputs
    outputs = model(bias=-10.0).apply(variables, inputs, train=False)
    for name, vectors in outputs.values["embedding"]["vectors"].items():
        lengths = np.linalg.norm(vectors, axis=1)
        present = np.asarray(outputs.present[name])
        np.testing.assert_allclose(lengths, present.astype(np.float32), atol=1e-5)
        assert present.any() and not present.all()
    assert outputs.values["embedding"]["bias"] == -10


def test_one_side_alone_has_the_same_vectors(variables):
    inputs, network = batch(0).inputs, model(bias=-10.0)
    both = network.apply(variables, inputs, train=False).values["embedding"]["vectors"]
    alone = network.apply(
        variables, {"text": inputs["text"]}, train=False, method=DualEncoder.embed
    )
    assert list(alone) == ["text"]
    np.testing.assert_allclose(alone["text"], both["text"], atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("objective", [InfoNce(), PairwiseSigmoid()])
def test_every_parameter_learns_and_an_update_is_the_same_on_8_devices(objective):
    bias = None if isinstance(objective, InfoNce) else -3.0
    network, tx = model(bias=bias), Sgd(peak_lr=0.1, warmup=0.0).chain(1)
    step = functools.partial(
        train_step, model=network, objectives={"pairs": objective}, tx=tx, guard=False
    )
    before = create_state(network, tx, batch(0), seed=0)
    alone, _ = jax.jit(functools.partial(step, axis=None))(before, batch(0))
    changed = jax.tree.map(lambda a, b: bool(np.any(a != b)), before.params, alone.params)
    assert all(jax.tree.leaves(changed)), changed
    for wrapper in ("pmap", "jit"):
        mesh = parallel.mesh_of(8)
        state = parallel.replicate(create_state(network, tx, batch(0), seed=0), mesh)
        found, _ = parallel.WRAPPERS[wrapper](step, mesh)(state, batch(0))
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, atol=2e-6),
            jax.device_get(found.params),
            jax.device_get(alone.params),
        )


def test_a_shared_encoder_reads_both_modalities_and_all_its_parameters_are_there_once(variables):
    inputs, network = batch(0).inputs, model(bias=-10.0, shared={"other": "image"})
    given = {**inputs, "other": inputs["image"]}
    both = jax.jit(lambda: network.init(jax.random.key(0), given, train=False))()
    assert jax.tree.structure(both) == jax.tree.structure(variables)
    apply = jax.jit(lambda: network.apply(both, given, train=False))
    vectors = apply().values["embedding"]["vectors"]
    np.testing.assert_array_equal(vectors["other"], vectors["image"])
    frozen = network.clone(frozen=("image",))

    for one, moves in ((network, True), (frozen, False)):

        def total(params, one=one):
            found = one.apply({**both, "params": params}, given, train=True, mutable=True)
            return jnp.sum(found[0].values["embedding"]["vectors"]["other"][:, 0])

        slope = jax.jit(jax.grad(total))(both["params"])["encoders_image"]
        assert any(bool(jnp.any(x != 0)) for x in jax.tree.leaves(slope)) == moves
    for wrong in ({"image": "text"}, {"other": "sound"}):
        with pytest.raises(UserError, match=r"shared: .* expected a modality without an encoder"):
            model(shared=wrong).init(jax.random.key(0), inputs, train=False)


def test_it_learns_which_text_belongs_to_which_picture():
    network, tx = model(), Adam(peak_lr=0.01).chain(60)
    given = batch(1, weight=np.ones(16, np.float32))
    step = functools.partial(train_step, model=network, objectives={"pairs": InfoNce()}, tx=tx)
    update = jax.jit(functools.partial(step, axis=None))
    state = create_state(network, tx, given, seed=0)
    losses = []
    for _ in range(60):
        state, means = update(state, given)
        losses.append({str(name): float(mean.mean()) for name, mean in means.items()})
    assert losses[-1]["pairs/loss"] < 0.5 * losses[0]["pairs/loss"]


def test_what_it_cannot_do_is_said(variables):
    with pytest.raises(UserError, match="expected the modalities"):
        model().apply(variables, {"text": batch(0).inputs["text"]}, train=False)
    with pytest.raises(UserError, match="scale: expected above 0 and at most 100, got 300"):
        model(scale=300.0).init(jax.random.key(0), batch(0).inputs, train=False)
    with pytest.raises(UserError, match="has no heads"):
        model(unimodal="train").init(jax.random.key(0), batch(0).inputs, train=False)


def test_half_precision_is_close(variables):
    half, whole = (
        jax.jit(functools.partial(network.apply, train=False))(variables, batch(0).inputs)
        for network in (model(bias=-10.0, precision="bfloat16"), model(bias=-10.0))
    )
    for name, vectors in half.values["embedding"]["vectors"].items():
        assert vectors.dtype == jnp.float32
        np.testing.assert_allclose(vectors, whole.values["embedding"]["vectors"][name], atol=0.03)
