"""Forward-mode differentiation of encoders whose layers have hand-written gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmjax.encoders import Cnn, Lstm
from mmjax.layers.tracing.forward_mode import forward_mode
from tests import samples

NAMES = ["cnn", "resnet", "vgg", "vit", "lstm", "gru", "audio_cnn", "wave_cnn", "tcn", "birds_eye"]


def loss_of(encoder, given):
    """The variables, and (params) -> a number in which every token counts."""
    start = jax.jit(lambda key: encoder.init(key, given.values, given.mask, train=False))
    variables = dict(start(jax.random.key(0)))
    params = variables.pop("params")

    def loss(params):
        tokens = encoder.apply({**variables, "params": params}, *given, train=False)
        return jnp.sum(jnp.sin(tokens.values))

    given = given.values, given.mask
    return params, loss


@pytest.mark.parametrize("name", NAMES)
def test_both_modes_agree(name):
    params, loss = loss_of(samples.ENCODER_VARIANTS[name][0], samples.INPUTS[name]())
    leaves, tree = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(1), len(leaves))
    draw = [jax.random.normal(k, x.shape, x.dtype) for k, x in zip(keys, leaves, strict=True)]
    direction = jax.tree.unflatten(tree, draw)

    @jax.jit
    def derivatives(params, direction):
        with forward_mode():
            _, forward = jax.jvp(loss, (params,), (direction,))
        products = jax.tree.map(lambda a, b: jnp.sum(a * b), jax.grad(loss)(params), direction)
        return forward, jax.tree.reduce(jnp.add, products)

    forward, reverse = derivatives(params, direction)
    np.testing.assert_allclose(forward, reverse, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "encoder, given", [(Cnn((3,), 8), samples.image()), (Lstm(20, 6, 8), samples.text())]
)
def test_without_the_switch_the_error_names_it(encoder, given):
    params, loss = loss_of(encoder, given)
    with pytest.raises(TypeError, match=r"with mmjax.layers.tracing.forward_mode.forward_mode\(\)"):
        jax.jvp(loss, (params,), (params,))
    with pytest.raises(TypeError, match=r"with mmjax.layers.tracing.forward_mode.forward_mode\(\)"):
        jax.jacfwd(loss)(params)


def test_forward_over_reverse_needs_no_switch():
    params, loss = loss_of(Lstm(20, 3, 2), samples.text())
    product = jax.jvp(jax.grad(loss), (params,), (params,))[1]
    with forward_mode():
        expected = jax.jvp(jax.grad(loss), (params,), (params,))[1]
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), product, expected
    )
