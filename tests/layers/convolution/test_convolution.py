import functools
import itertools
import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from mmjax.evaluation.flops import flops
from mmjax.layers.convolution.convolution import Conv

SHAPES = {
    "1d": ((2, 9, 3), (3,), {}),
    "2d": ((2, 7, 6, 3), (3, 3), {}),
    "3d": ((1, 4, 5, 3, 2), (2, 3, 2), {}),
    "strides": ((2, 8, 7, 3), (3, 3), {"strides": 2}),
    "strides that leave pixels out": ((2, 8, 8, 3), (2, 2), {"strides": 3, "padding": "VALID"}),
    "dilation": ((2, 11, 3), (3,), {"dilation": 4}),
    "strides and dilation": ((2, 11, 9, 3), (3, 2), {"strides": 2, "dilation": 3}),
    "causal": ((2, 9, 3), (3,), {"padding": "CAUSAL", "dilation": 2}),
    "padding": ((2, 7, 5, 3), (3, 2), {"padding": [(2, 0), (1, 3)]}),
    "patches": ((2, 8, 8, 3), (4, 4), {"strides": 4, "padding": "VALID"}),
    "even kernel": ((2, 6, 5, 3), (2, 4), {}),
    "smaller than the kernel": ((2, 2, 2, 3), (3, 3), {}),
    "smaller, with strides": ((2, 2, 3, 3), (7, 7), {"strides": 2, "padding": [(3, 3)] * 2}),
    "smaller than the dilated kernel": ((2, 5, 3), (3,), {"dilation": 4}),
    "much smaller than the kernel": ((1, 2, 2, 3), (5, 5), {"strides": 2, "dilation": 2}),
    "no bias": ((2, 6, 3), (2,), {"use_bias": False}),
    "no example": ((0, 6, 3), (3,), {}),
    "no step": ((2, 0, 3), (3,), {}),
    "no result": ((20, 1, 3), (3,), {"padding": "VALID", "strides": 2}),
}


def _linens(features: int, size: tuple[int, ...], **how: Any) -> nn.Conv:
    return nn.Conv(features, size, kernel_dilation=how.pop("dilation", 1), **how)


def _normal(*shape: int) -> jax.Array:
    return jnp.asarray(np.random.default_rng(0).standard_normal(shape), jnp.float32)


def _close(found: Any, expected: Any) -> None:
    check = functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-5)
    jax.tree.map(check, found, expected)


def _pulled_back(apply: Callable, x: jax.Array, variables: dict) -> tuple:
    out, back = jax.vjp(apply, variables, x)
    return out, *back(jnp.cos(jnp.arange(out.size).reshape(out.shape)).astype(out.dtype))


@pytest.mark.parametrize("platform", ["cpu", "default"])
@pytest.mark.parametrize("shape", SHAPES)
def test_results_and_gradients_are_linens(shape, platform, monkeypatch):
    monkeypatch.setattr(
        jax.lax, "platform_dependent", lambda *args, **branches: branches[platform](*args)
    )
    size, window, how = SHAPES[shape]
    x = _normal(*size)
    ours, linens = Conv(4, window, **how), _linens(4, window, **how)
    variables = ours.init(jax.random.key(0), x)
    found, expected = (_pulled_back(conv.apply, x, variables) for conv in (ours, linens))
    _close(found, expected)


@pytest.mark.parametrize("how", [{}, {"strides": 2}, {"dilation": 2}])
def test_any_padding_is_as_if_the_input_came_with_it(how):
    """XLA's own convolution reads past the array on CPUs where an axis is cropped and padded."""
    pads = [(4, 0), (-2, 2), (-1, -2), (1, -1), (0, 6)]
    x, window = _normal(2, 8, 9, 3), (3, 3)
    variables = Conv(4, window).init(jax.random.key(0), x)
    for around in itertools.pairwise(pads):
        padding = [(0, 0, 0), *((*pad, 0) for pad in around), (0, 0, 0)]

        def padded(variables, x):
            x = jax.lax.pad(x, jnp.float32(0), padding)  # noqa: B023
            return _linens(4, window, padding="VALID", **how).apply(variables, x)

        ours = Conv(4, window, padding=around, **how).apply
        _close(*(_pulled_back(apply, x, variables) for apply in (ours, padded)))


def test_it_draws_the_parameters_that_linen_draws():
    x = jnp.ones((1, 4, 4, 2))
    found, expected = (c(3, (3, 3)).init(jax.random.key(1), x) for c in (Conv, nn.Conv))
    jax.tree.map(np.testing.assert_array_equal, found, expected)


def test_it_takes_parameters_and_images_as_numpy_holds_them():
    conv, x = Conv(3, (3, 3)), np.ones((1, 4, 4, 2), np.float32)
    variables = conv.init(jax.random.key(1), x)
    _close(conv.apply(jax.device_get(variables), x), conv.apply(variables, jnp.asarray(x)))


def test_it_computes_in_the_type_of_its_kernel():
    conv, x = Conv(3, (3, 3)), jnp.ones((1, 4, 4, 2), jnp.uint8)
    variables = jax.tree.map(jnp.bfloat16, conv.init(jax.random.key(0), x))
    assert conv.apply(variables, x).dtype == jnp.bfloat16
    found = _pulled_back(conv.apply, _normal(1, 4, 4, 2).astype(jnp.bfloat16), variables)
    assert {leaf.dtype for leaf in jax.tree.leaves(found)} == {jnp.dtype(jnp.bfloat16)}


def test_second_derivatives_are_linens():
    x = _normal(2, 6, 6, 2)
    variables = Conv(3, (3, 3)).init(jax.random.key(0), x)

    def steepness(conv):
        def height(variables, x):
            return jnp.sum(jnp.tanh(conv.apply(variables, x)))

        return jax.grad(lambda v: jnp.sum(jax.grad(height, 1)(v, x) ** 2))(variables)

    _close(steepness(Conv(3, (3, 3))), steepness(nn.Conv(3, (3, 3))))


def test_many_kernels_at_once_are_each_its_own():
    x = _normal(3, 2, 6, 6, 2)
    conv = Conv(3, (3, 3))
    variables = jax.vmap(conv.init, (0, None))(jax.random.split(jax.random.key(0), 3), x[0])
    together = jax.vmap(lambda x, v: _pulled_back(conv.apply, x, v))(x, variables)
    for i in range(3):
        alone = _pulled_back(conv.apply, x[i], jax.tree.map(lambda v: v[i], variables))  # noqa: B023
        _close(jax.tree.map(lambda x: x[i], together), alone)  # noqa: B023


def test_in_a_loop_every_convolution_has_the_layout_of_the_fast_kernels():
    """linen's do not: its gradients would be read with batch and channels in other places."""
    layouts = {conv: _layouts_in_a_loop(conv(4, (3, 3))) for conv in (Conv, nn.Conv)}
    assert layouts[Conv] == {"b01f_01io->b01f"}
    assert layouts[nn.Conv] > layouts[Conv], "XLA does it in loops, too: Conv has had its day"


def test_an_image_smaller_than_the_kernel_is_padded_first():
    """XLA would let image and kernel change places, and have only slow code for that on CPUs."""
    swapped = {}
    for conv in (Conv, nn.Conv):
        layer, x = conv(4, (3, 3)), _normal(2, 2, 2, 3)
        variables = layer.init(jax.random.key(0), x)
        text = jax.jit(layer.apply).lower(variables, x).compile().as_text()
        (line,) = [line for line in text.splitlines() if " convolution(" in line]
        swapped[conv] = "rhs_reversal" in line
    assert swapped == {Conv: False, nn.Conv: True}


def _layouts_in_a_loop(conv: nn.Module) -> set[str]:
    x = _normal(2, 2, 6, 6, 3)
    variables = conv.init(jax.random.key(0), x[0])
    looped = jax.jit(lambda v, x: jax.lax.map(lambda x: _pulled_back(conv.apply, x, v), x))
    return set(re.findall(r"dim_labels=(\S+?),? ", looped.lower(variables, x).compile().as_text()))


def test_a_training_steps_operations_are_counted_once_and_only_where_they_are_wanted():
    x, conv = _normal(2, 6, 6, 3), Conv(4, (3, 3))
    variables = conv.init(jax.random.key(0), x)
    forward = flops(conv.apply, variables, x)
    assert forward == 2 * (2 * 6 * 6 * 4) * (3 * 3 * 3)
    assert flops(lambda v, x: _pulled_back(conv.apply, x, v), variables, x) == 3 * forward
    assert flops(lambda v, x: _pulled_back(conv.apply, x, v)[:2], variables, x) == 2 * forward
