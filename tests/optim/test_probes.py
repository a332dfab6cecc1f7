"""Heads that only look: their gradients must not shorten the steps of what they look at."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmjax.optim import Sgd

pytestmark = pytest.mark.usefixtures("standard_promotion")


def updates(chain, gradients):
    zeros = jax.tree.map(jnp.zeros_like, gradients)
    return chain.update(gradients, chain.init(zeros), zeros)[0]


def test_the_norms_of_probes_and_of_the_rest_are_clipped_apart():
    optim = Sgd(peak_lr=1.0, schedule="constant", warmup=0.0, clip_norm=1.0)
    plain = {"encoders_image": jnp.array([0.3, 0.4])}
    loud = plain | {"alone_match_image": jnp.array([300.0, 400.0])}
    expected = updates(optim.chain(3), plain)["encoders_image"]
    found = updates(optim.chain(3, probes="alone_"), loud)
    np.testing.assert_array_equal(found["encoders_image"], expected)
    np.testing.assert_allclose(found["alone_match_image"], [-0.6, -0.8], rtol=1e-6)
    assert np.all(updates(optim.chain(3), loud)["encoders_image"] != expected)
