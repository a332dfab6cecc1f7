"""Low-rank adapters: what learns, and that adding them to the kernels changes nothing."""

import dataclasses
import functools

import jax
import numpy as np
import pytest

from mmjax.layers import low_rank
from mmjax.models import merge_adapters
from mmjax.models.train_state import create_state
from mmjax.optim import Adam
from mmjax.train.step.step import train_step
from tests.train.step.test_step import OBJECTIVES, batch, close, model

pytestmark = pytest.mark.usefixtures("standard_promotion")
PLAIN = model()
ADAPTED = dataclasses.replace(PLAIN, adapters={"image": 2, "text": 3})


@functools.cache
def trained(precision="float32"):
    network = dataclasses.replace(ADAPTED, precision=precision)
    tx = Adam(peak_lr=0.05, warmup=0.0).chain(4, network.frozen_paths)
    state = create_state(network, tx, batch(0), seed=0)
    step = functools.partial(train_step, model=network, objectives=OBJECTIVES, tx=tx, axis=None)
    after = state
    for number in range(4):
        after, _ = jax.jit(step)(after, batch(number))
    return jax.device_get(state), jax.device_get(after)


def outputs(network, variables):
    return network.apply(variables, batch(9).inputs, train=False).values["match"]


@pytest.mark.slow
def test_fresh_adapters_change_nothing():
    before, _ = trained()
    plain = {k: v for k, v in before.params.items() if not k.startswith("adapters_")}
    found = outputs(ADAPTED, before.variables)
    np.testing.assert_array_equal(found, outputs(PLAIN, {**before.collections, "params": plain}))


def test_the_encoders_stay_and_every_adapter_learns():
    before, after = trained()
    for name in ("encoders_image", "encoders_text"):
        close(after.params[name], before.params[name], 0.0)
    for name in ("adapters_image", "adapters_text", "heads_match"):
        moved = jax.tree.map(lambda a, b: np.any(a != b), after.params[name], before.params[name])
        assert all(jax.tree.leaves(moved))
    shapes = {leaf.shape for leaf in jax.tree.leaves(after.params["adapters_text"])}
    assert all(3 in shape for shape in shapes)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_merged_adapters_give_the_same_outputs(precision):
    before, after = trained(precision)
    network = dataclasses.replace(ADAPTED, precision=precision)
    plain, variables = merge_adapters(network, after.variables)
    assert plain == dataclasses.replace(PLAIN, precision=precision)
    assert not any(name.startswith("adapters_") for name in variables["params"])
    np.testing.assert_array_equal(outputs(plain, variables), outputs(network, after.variables))
    assert np.any(outputs(network, after.variables) != outputs(network, before.variables))


def test_adapters_have_no_moments_for_the_encoders():
    tx = Adam().chain(4, ADAPTED.frozen_paths)
    state, _ = trained()
    moments = jax.tree.leaves(tx.init(state.params))
    learned = {k: v for k, v in state.params.items() if k not in ADAPTED.frozen_paths}
    learned = sum(leaf.size for leaf in jax.tree.leaves(learned))
    assert sum(np.size(leaf) for leaf in moments) <= 2 * learned + 8


def test_a_kernel_of_four_axes_is_the_matrix_of_its_last():
    kernel = np.zeros((3, 3, 2, 5), np.float32)
    added = low_rank.adapters(jax.random.key(0), {"conv": {"kernel": kernel, "bias": kernel}}, 4)
    down, up = added["conv"]["kernel"]["down_kernel"], added["conv"]["kernel"]["up_kernel"]
    assert down.shape == (18, 4) and up.shape == (4, 5) and set(added["conv"]) == {"kernel"}
    added["conv"]["kernel"]["up_kernel"] = np.ones((4, 5), np.float32)
    whole = low_rank.merged({"conv": {"kernel": kernel, "bias": kernel}}, added)
    expected = (down @ np.ones((4, 5), np.float32)).reshape(3, 3, 2, 5)
    np.testing.assert_allclose(whole["conv"]["kernel"], expected, rtol=1e-6)


@pytest.mark.parametrize("given", [{"sound": 2}, {"image": 0}])
def test_adapters_that_cannot_be_are_refused(given):
    network = dataclasses.replace(PLAIN, adapters=given)
    with pytest.raises(ValueError, match=r"adapters: .*expected a rank of 1 or more for one of"):
        network.init(jax.random.key(0), batch(0).inputs, train=False)
