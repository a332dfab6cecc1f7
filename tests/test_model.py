"""The contracts on whole models: a modality missing in an example, or in all of them."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmjax.encoders import Cnn, Lstm
from mmjax.heads import Logit
from mmjax.model import Multimodal
from mmjax.types import Input
from tests import samples

FUSIONS = [pytest.param(module, id=name) for name, module in samples.fusions()]


def model(fusion):
    encoders = {"image": Cnn((3,), 8), "text": Lstm(20, 6, 8)}
    return Multimodal(encoders, fusion, {"match": Logit(hidden=(8,))})


def initialised(network, inputs):
    variables = jax.jit(functools.partial(network.init, train=False))(jax.random.key(0), inputs)
    # Away from the zeros that biases begin with: a prior that something has taught.
    return jax.tree.map(lambda x: x + 0.05, variables)


def gradients(network, inputs, examples):
    """Of the sum of some examples' squared logits."""

    @jax.jit
    def loss(params):
        logits = network.apply({"params": params}, inputs, train=False)["match"]
        return jnp.sum(jnp.where(examples, logits**2, 0.0))

    return jax.grad(loss)(initialised(network, inputs)["params"])


@pytest.mark.parametrize("fusion", FUSIONS)
def test_an_example_without_an_image_neither_sees_nor_teaches_the_image_encoder(fusion):
    network = model(fusion)
    inputs = {"image": samples.image(), "text": samples.text(lengths=(5, 3, 2, 1))}
    variables = initialised(network, inputs)
    apply = jax.jit(lambda inputs: network.apply(variables, inputs, train=False)["match"])
    other = Input(samples.garbage(*_parts(inputs["image"])), inputs["image"].mask)
    chex.assert_trees_all_equal(apply(inputs), apply({**inputs, "image": other}))
    found = gradients(network, inputs, jnp.array([False, False, True, False]))
    assert not any(map(np.any, jax.tree.leaves(found["encoders_image"])))
    assert all(map(np.any, jax.tree.leaves(found["encoders_text"])))


@pytest.mark.parametrize("fusion", FUSIONS)
def test_with_everything_missing_every_example_gets_the_same_finite_prior(fusion):
    network = model(fusion)
    inputs = {
        "image": samples.image(present=(False,) * 4),
        "text": samples.text(lengths=(0,) * 4),
    }
    variables = initialised(network, inputs)
    logits = np.asarray(network.apply(variables, inputs, train=False)["match"])
    assert np.all(np.isfinite(logits)) and np.all(logits == logits[0]) and logits[0] != 0
    found = gradients(network, inputs, jnp.ones(4, bool))
    chex.assert_tree_all_finite(found)
    for encoder in ("encoders_image", "encoders_text"):
        assert not any(map(np.any, jax.tree.leaves(found[encoder])))
    assert any(map(np.any, jax.tree.leaves(found["heads_match"])))


def test_modalities_that_the_model_does_not_have_or_does_not_get_are_named():
    network = model(samples.FUSIONS["concat"]())
    for given in ({"image": samples.image()}, {"image": samples.image(), "sound": samples.text()}):
        with pytest.raises(ValueError, match=r"expected the modalities \['image', 'text'\], got"):
            network.init(jax.random.key(0), given, train=False)


def _parts(given):
    return given.values, given.mask
