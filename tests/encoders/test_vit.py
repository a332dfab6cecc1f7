import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmjax.encoders import Vit
from mmjax.layers.attention.transformer import TransformerBlock
from tests import samples
from tests.encoders.test_resnet import shapes


@pytest.mark.parametrize(
    "size, width, count",
    [("tiny", 192, 5_524_416), ("small", 384, 21_665_664), ("base", 768, 85_798_656)],
)
def test_the_sizes_are_those_of_the_paper_without_the_classifier(size, width, count):
    tokens, variables = shapes(Vit(size), (224, 224))
    key_biases = 12 * width
    assert sum(x.size for x in jax.tree.leaves(variables)) == count - key_biases
    assert tokens.values.shape == (2, 197, width)


@pytest.mark.parametrize(
    "patch, size, count", [(8, (32, 47), 21), (16, (16, 16), 2), (5, (9, 11), 3)]
)
def test_a_token_is_the_class_or_a_patch(patch, size, count):
    tokens, _ = shapes(Vit(patch=patch, layers=1, dim=5), size)
    assert tokens.values.shape == (2, count, 5)


def test_what_is_given_goes_before_the_preset():
    tokens, variables = shapes(Vit("base", width=24, layers=2, heads=3), (32, 32))
    blocks = [name for name in variables["params"] if name.startswith("block")]
    assert tokens.values.shape == (2, 5, 24) and len(blocks) == 2


def test_dropout_acts_in_training_alone():
    module, given = Vit(patch=4, width=8, layers=1, heads=2, dropout=0.5), samples.image()
    inputs = given.values, given.mask
    variables = jax.jit(lambda: module.init(jax.random.key(0), *inputs, train=False))()

    @jax.jit
    def encode(key):
        rngs = {"dropout": jax.random.key(key)}
        kept, dropped = (
            module.apply(variables, *inputs, train=train, rngs=rngs) for train in (False, True)
        )
        return kept.values, dropped.values

    (kept, one), (same, other) = encode(1), encode(2)
    np.testing.assert_array_equal(kept, same)
    assert np.any(one != other) and jnp.all(jnp.isfinite(one))


def test_a_block_that_drops_all_it_would_add_is_the_identity():
    x = jax.random.normal(jax.random.key(0), (2, 3, 8))
    block, seen = TransformerBlock(heads=2, dropout=1 - 1e-9), jnp.ones((2, 1, 3), bool)
    variables = jax.jit(lambda: block.init(jax.random.key(0), x, seen, train=False))()
    rngs = {"dropout": jax.random.key(1)}
    np.testing.assert_array_equal(block.apply(variables, x, seen, train=True, rngs=rngs), x)
    assert np.any(block.apply(variables, x, seen, train=False) != x)


def test_an_image_smaller_than_a_patch_is_refused():
    with pytest.raises(ValueError, match="one patch, 16x16 pixels, got 40x15; choose a smaller"):
        shapes(Vit(), (40, 15))


@pytest.mark.parametrize("heads", [0, 5])
def test_heads_that_do_not_divide_the_width_are_refused(heads):
    with pytest.raises(ValueError, match=rf"heads={heads} must divide dim=8.*\[1, 2, 4, 8\]"):
        shapes(Vit(width=8, heads=heads), (16, 16))
