"""The private update: clipped gradients of single examples, noise, the same on all devices."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from mmjax.devices import parallel
from mmjax.models.train_state import create_state
from mmjax.optim import Sgd
from mmjax.train.step.private import clipped, gaussian
from mmjax.train.step.step import train_step
from tests.train.step.test_step import OBJECTIVES, batch, close, model

pytestmark = [
    pytest.mark.usefixtures("standard_promotion"),
    pytest.mark.filterwarnings("ignore:optax.global_norm is deprecated"),  # by jax-privacy
]
CLIP, EXPECTED = 0.05, 10  # examples on average; the batch has 16 rows
WEIGHT = (np.arange(16) < 12).astype(np.float32)


@functools.cache
def updated(wrapper, devices, noise=0.0, seed=0, microbatch=2):
    network, tx = model(), Sgd(peak_lr=1.0, schedule="constant", warmup=0.0, momentum=0.0).chain(1)
    seen = devices if wrapper == "jit" else 1
    step = functools.partial(
        train_step,
        model=network,
        objectives=OBJECTIVES,
        tx=tx,
        rule=clipped(CLIP, EXPECTED, microbatch * seen),
        noise=gaussian(noise, CLIP, EXPECTED) if noise else None,
    )
    mesh = parallel.mesh_of(devices)
    start = create_state(network, tx, batch(0), seed=0)
    start = start.replace(key=jnp.array([5, seed], jnp.uint32))
    update = parallel.WRAPPERS[wrapper](step, mesh)
    return update(parallel.replicate(start, mesh), batch(0, weight=WEIGHT))


def by_hand():
    """The clipped gradients of the 12 examples, each computed alone, `[example, number]`."""
    network, whole = model(), batch(0, weight=WEIGHT)
    tx = Sgd(peak_lr=1.0, schedule="constant", warmup=0.0, momentum=0.0).chain(1)
    params = create_state(network, tx, whole, seed=0).params
    found = []

    @jax.jit
    @jax.grad
    def gradient(params, one):
        outputs = network.apply({"params": params}, one.inputs, train=True)
        return sum(o(outputs, one)["loss"].mean() for o in OBJECTIVES.values())

    for row in range(12):
        one = jax.tree.map(lambda x, row=row: x[row : row + 1], whole)
        found.append(ravel_pytree(gradient(params, one))[0])
    rows = np.array(found)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    assert norms.min() > CLIP  # all are shortened
    return params, rows * np.minimum(1, CLIP / norms)


def test_the_update_is_the_sum_of_clipped_gradients_over_the_expected_number():
    params, rows = by_hand()
    state, means = updated("pmap", 1)
    moved = ravel_pytree(params)[0] - ravel_pytree(state.params)[0]
    np.testing.assert_allclose(moved, rows.sum(axis=0) / EXPECTED, atol=1e-7)
    (loss,) = (mean for name, mean in means.items() if name.quantity == "loss")
    assert loss.count == 12


@pytest.mark.parametrize("wrapper", parallel.WRAPPERS)
def test_one_device_and_eight_make_the_same_update_with_noise(wrapper):
    expected, _ = updated("pmap", 1, 1.0)
    found, _ = updated(wrapper, 8, 1.0)
    close(found.params, expected.params, 1e-6)


def test_the_noise_has_the_promised_deviation_and_another_key_gives_another():
    plain, a, b = (
        ravel_pytree(updated("pmap", 1, *x)[0].params)[0] for x in ((), (1.0,), (1.0, 1))
    )
    noise = np.stack([a - plain, b - plain])
    promised = CLIP / EXPECTED
    assert abs(np.corrcoef(noise)[0, 1]) < 0.1
    np.testing.assert_allclose(noise.std(axis=1), promised, rtol=0.05)
    leaves = jax.tree.leaves(
        gaussian(2.0, 0.5, 4)({"a": jnp.zeros(9000), "b": jnp.zeros(9000)}, jax.random.key(0))
    )
    np.testing.assert_allclose([x.std() for x in leaves], 0.25, rtol=0.03)
    assert abs(np.corrcoef(leaves)[0, 1]) < 0.05


def test_a_nan_in_one_example_changes_the_sum_by_no_more_than_its_clip():
    _, rows = by_hand()
    whole = batch(0, weight=WEIGHT)
    image = np.array(whole.inputs["image"].values)
    image[3] = np.nan
    spoilt = whole.replace(
        inputs={**whole.inputs, "image": whole.inputs["image"].replace(values=image)}
    )
    network, tx = model(), Sgd(peak_lr=1.0, schedule="constant", warmup=0.0, momentum=0.0).chain(1)
    start = create_state(network, tx, whole, seed=0)
    step = functools.partial(
        train_step,
        model=network,
        objectives=OBJECTIVES,
        tx=tx,
        axis=None,
        rule=clipped(CLIP, EXPECTED, 4),
    )
    state, _ = jax.jit(step)(start, spoilt)
    moved = ravel_pytree(start.params)[0] - ravel_pytree(state.params)[0]
    assert state.step == 1 and np.linalg.norm(moved) > 0
    assert np.linalg.norm(moved - rows.sum(axis=0) / EXPECTED) <= 1.001 * CLIP / EXPECTED
