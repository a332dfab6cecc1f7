"""`total` and `gather`: identities alone, the global batch over devices."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmjax.devices import parallel
from mmjax.layers.tracing import collectives
from mmjax.types import WeightedMean


def test_elsewhere_both_are_identities():
    x = np.arange(3)
    assert collectives.total(x) is x and collectives.gather(x) is x
    with pytest.raises(KeyError), collectives.over("data"):
        raise KeyError
    assert collectives.total(x) is x


def pairs(scale, rows):
    """The mean over all pairs of the global batch of a loss that is not a sum over rows."""
    x = jnp.tanh(scale[None] * rows)
    others = collectives.gather(x)
    loss = jax.nn.softplus(jnp.einsum("id,jd->ij", x, others))
    return WeightedMean(jnp.sum(loss), jnp.asarray(float(loss.size)))


def update(scale, rows, *, axis):
    with collectives.over(axis):

        def share(scale):
            own = pairs(scale, rows)
            return own.total / collectives.total(own.count)

        return scale, collectives.total(jax.value_and_grad(share)(scale))


@pytest.mark.parametrize("wrapper", ["pmap", "jit"])
def test_a_loss_over_all_pairs_is_the_same_on_8_devices_as_on_one(wrapper):
    rows = np.random.default_rng(0).normal(size=(16, 5)).astype(np.float32)
    scale = jnp.arange(1.0, 6.0)
    _, (value, gradient) = update(scale, jnp.asarray(rows), axis=None)
    step = functools.partial(update)
    wrapped = parallel.WRAPPERS[wrapper](step, parallel.mesh_of(8))
    _, (found, slope) = wrapped(scale, rows)
    np.testing.assert_allclose(found, value, atol=1e-6)
    np.testing.assert_allclose(slope, gradient, atol=1e-6)
    assert np.all(np.abs(gradient) > 1e-4)
