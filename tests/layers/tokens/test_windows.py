import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmjax.layers.tokens.windows import WindowConv, window_mask, windows


def test_windows_start_at_the_first_step_and_the_last_is_filled_up():
    x = jnp.arange(5.0)[None, :, None]
    np.testing.assert_array_equal(windows(x, 2)[0, :, :, 0], [[0, 1], [2, 3], [4, 0]])
    mask = jnp.array([[True, False, False, False, True]])
    np.testing.assert_array_equal(window_mask(mask, 2)[0], [True, False, True])


@pytest.mark.parametrize("size, stride", [(3, 1), (5, 2), (4, 4), (12, 4), (2, 2)])
def test_a_result_is_centred_on_its_window(size, stride):
    """A kernel of ones sums `size` steps, as many before the window as after it."""
    x = jnp.asarray(np.random.default_rng(0).normal(size=(1, 11, 1)).astype(np.float32))
    module, mask = WindowConv(1, size, stride), jnp.ones((1, 11), bool)
    ones = {"params": {"Conv_0": {"kernel": jnp.ones((size, 1, 1)), "bias": jnp.zeros(1)}}}
    found, _ = module.apply(ones, x, mask)
    before = (size - stride) // 2
    for t in range(-(-11 // stride)):
        seen = np.arange(t * stride - before, t * stride - before + size)
        seen = seen[(seen >= 0) & (seen < 11)]
        np.testing.assert_allclose(found[0, t, 0], np.asarray(x)[0, seen, 0].sum(), atol=1e-5)


def test_longer_padding_shifts_nothing():
    x = jnp.asarray(np.random.default_rng(0).normal(size=(1, 9, 2)).astype(np.float32))
    module = WindowConv(3, 5, 2)
    variables = module.init(jax.random.key(0), x, jnp.ones((1, 9), bool))
    short, _ = module.apply(variables, x, jnp.ones((1, 9), bool))
    padded = jnp.pad(x, ((0, 0), (0, 4), (0, 0)), constant_values=9.0)
    long, mask = module.apply(variables, padded, jnp.arange(13)[None] < 9)
    np.testing.assert_allclose(long[:, :5], short, atol=1e-6)
    np.testing.assert_array_equal(mask[0], [True] * 5 + [False] * 2)
