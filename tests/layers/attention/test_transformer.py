import jax
import jax.numpy as jnp
import numpy as np

from mmjax.layers.attention.transformer import Attend, FeedForward
from mmjax.layers.tokens.modalities import Normed
from mmjax.types import Tokens


def test_what_all_features_have_in_common_does_not_show_however_large_it_is():
    """The norms' variance beside a mean of 10,000 deviations; only the residual keeps the mean."""
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 3, 8)).astype(np.float32))
    mask, visible = jnp.ones((2, 3), bool), jnp.ones((2, 1, 3), bool)
    attend, feed, normed = Attend(8, 2), FeedForward(8), Normed()

    @jax.jit
    def start(key):
        return [
            attend.init(key, x, visible),
            feed.init(key, x, train=False),
            normed.init(key, Tokens(x, mask)),
        ]

    @jax.jit
    def read(variables, x):
        return [
            attend.apply(variables[0], x, visible) - x,
            feed.apply(variables[1], x, train=False) - x,
            normed.apply(variables[2], Tokens(x, mask)).values,
        ]

    variables = start(jax.random.key(0))
    for near, far in zip(read(variables, x), read(variables, x + 1e4), strict=True):
        # float32 itself rounds x + 10,000 to thousandths.
        np.testing.assert_allclose(far, near, atol=0.02)
