import jax
import jax.numpy as jnp
import pytest

from mmjax.encoders import Cnn


@pytest.mark.parametrize(
    "pooling, tokens", [("flatten", 1), ("mean", 1), ("attention", 1), ("none", 9)]
)
def test_pooling_decides_the_number_of_tokens(pooling, tokens):
    image, mask = jnp.zeros((2, 6, 7, 3)), jnp.ones(2, bool)
    module = Cnn((4,), 8, pooling)
    shape = jax.eval_shape(
        lambda: module.init_with_output(jax.random.key(0), image, mask, train=False)[0]
    )
    assert shape.values.shape == (2, tokens, 8) and shape.mask.shape == (2, tokens)


def test_an_image_without_room_for_the_pool_is_refused():
    with pytest.raises(ValueError, match="at least 2x2 pixels, got 1x6"):
        Cnn().init(jax.random.key(0), jnp.zeros((1, 1, 6, 1)), jnp.ones(1, bool), train=False)
