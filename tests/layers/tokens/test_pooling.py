import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from mmjax.layers.tokens.pooling import average_pool, masked_mean, max_pool


def test_masked_mean_counts_only_what_is_there():
    values = jnp.array([[[1.0], [3.0], [1e30]], [[7.0], [1e30], [1e30]], [[1e30]] * 3])
    mask = jnp.array([[True, True, False], [True, False, False], [False] * 3])
    np.testing.assert_array_equal(masked_mean(values, mask), [[2.0], [7.0], [0.0]])


def test_average_pool_is_the_mean_of_blocks_and_leaves_out_what_fills_none():
    image = jnp.arange(25.0).reshape(1, 5, 5, 1)
    np.testing.assert_array_equal(average_pool(image, 2)[0, :, :, 0], [[3.0, 5.0], [13.0, 15.0]])


@pytest.mark.parametrize("size, stride, padding", [(2, 2, 0), (3, 2, 1), (3, 1, 0)])
def test_max_pool_and_its_gradient_are_linens(size, stride, padding):
    # Of equal numbers, here whole ones, each picks one for the gradient: the same.
    image = jnp.asarray(np.random.default_rng(0).integers(-2, 3, (2, 7, 8, 3)), jnp.float32)
    around = ((padding, padding),) * 2

    def linens(image):
        return nn.max_pool(image, (size, size), (stride, stride), around)

    expected, expected_back = jax.vjp(linens, image)
    found, back = jax.vjp(lambda image: max_pool(image, size, stride, padding), image)
    np.testing.assert_array_equal(found, expected)
    grad = jnp.cos(jnp.arange(found.size, dtype=jnp.float32)).reshape(found.shape)
    np.testing.assert_allclose(back(grad)[0], expected_back(grad)[0], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("place", [(0, 0), (0, 1), (1, 1)])
def test_max_pool_propagates_nan_as_linens_does(place):
    image = jnp.ones((1, 4, 4, 1)).at[0, *place, 0].set(jnp.nan)
    expected = nn.max_pool(image, (2, 2), (2, 2))
    assert np.isnan(expected).sum() == 1
    np.testing.assert_array_equal(max_pool(image, 2, stride=2), expected)


@pytest.mark.parametrize("size, padding", [(2, 0), (3, 1)])
def test_off_cpus_windows_pool_as_slices_do(monkeypatch, size, padding):
    image = jnp.asarray(np.random.default_rng(0).normal(size=(2, 7, 6, 3)).astype(np.float32))

    def pooled(image):
        return max_pool(image, size, 2, padding), average_pool(image, size)

    def both(image):
        gradient = jax.grad(lambda x: sum(jnp.sum(y**3) for y in pooled(x)))(image)
        return pooled(image), gradient

    expected = both(image)
    monkeypatch.setattr(jax.lax, "platform_dependent", lambda *a, default, cpu: default(*a))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), expected, both(image))
