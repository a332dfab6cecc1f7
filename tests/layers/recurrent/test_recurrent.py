import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from mmjax.layers.recurrent.lstm import lstm


def parameters(width=3, dim=4):
    rng = np.random.default_rng(0)
    shapes = {"input_kernel": (width, 4 * dim), "recurrent_kernel": (dim, 4 * dim)}
    shapes["bias"] = (4 * dim,)
    return {k: jnp.asarray(rng.normal(size=s).astype(np.float32)) for k, s in shapes.items()}


def test_it_computes_what_linens_cell_computes():
    params = parameters()
    x = jax.random.normal(jax.random.key(0), (2, 5, 3))
    cell = nn.OptimizedLSTMCell(4)
    names = dict(zip("ifgo", range(4), strict=True))
    linen = {
        f"i{gate}": {"kernel": params["input_kernel"][:, 4 * n : 4 * n + 4]}
        for gate, n in names.items()
    } | {
        f"h{gate}": {
            "kernel": params["recurrent_kernel"][:, 4 * n : 4 * n + 4],
            "bias": params["bias"][4 * n : 4 * n + 4],
        }
        for gate, n in names.items()
    }
    expected = nn.RNN(cell).apply({"params": {"cell": linen}}, x)
    states, last = lstm(x, jnp.ones((2, 5), bool), **params)
    np.testing.assert_allclose(states, expected, atol=1e-6)
    np.testing.assert_array_equal(last, states[:, -1])


@pytest.mark.parametrize("reverse", [False, True])
def test_padding_may_stand_anywhere(reverse):
    params = parameters()
    x = jax.random.normal(jax.random.key(0), (1, 3, 3))
    _, packed = lstm(x, jnp.ones((1, 3), bool), **params, reverse=reverse)
    spread = jnp.full((1, 6, 3), 1e30).at[:, jnp.array([1, 2, 5])].set(x)
    mask = jnp.array([[False, True, True, False, False, True]])
    _, last = lstm(spread, mask, **params, reverse=reverse)
    np.testing.assert_allclose(last, packed, atol=1e-6)


@pytest.mark.parametrize("length", [0, 3])
def test_a_sequence_without_tokens_ends_in_zeros(length):
    states, last = lstm(jnp.ones((2, length, 3)), jnp.zeros((2, length), bool), **parameters())
    assert states.shape == (2, length, 4) and not np.any(states) and not np.any(last)
