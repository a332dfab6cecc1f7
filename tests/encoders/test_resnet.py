import jax
import jax.numpy as jnp
import pytest

from mmjax.encoders import ResNet


def shapes(module, size, batch=2):
    """(tokens, variables), without computing anything."""
    image, mask = jnp.zeros((batch, *size, 3)), jnp.ones(batch, bool)
    return jax.eval_shape(
        lambda: module.init_with_output(jax.random.key(0), image, mask, train=False)
    )


@pytest.mark.parametrize(
    "depth, count", [(18, 11_176_512), (34, 21_284_672), (50, 23_508_032), (101, 42_500_160)]
)
def test_the_sizes_are_those_of_torchvision_without_the_classifier(depth, count):
    tokens, variables = shapes(ResNet(depth), (224, 224))
    assert sum(x.size for x in jax.tree.leaves(variables["params"])) == count
    assert tokens.values.shape == (2, 49, 512 if depth < 50 else 2048)


@pytest.mark.parametrize("small, size, count", [(False, (33, 96), 6), (True, (8, 20), 3)])
def test_a_token_is_a_position_of_the_last_stage(small, size, count):
    tokens, _ = shapes(ResNet(18, dim=5, small_images=small, width=4), size)
    assert tokens.values.shape == (2, count, 5) and tokens.mask.shape == (2, count)


def test_an_image_smaller_than_the_stride_is_refused():
    with pytest.raises(ValueError, match=r"at least 32x32 pixels, got 28x40; set small_images"):
        shapes(ResNet(), (28, 40))
    with pytest.raises(ValueError, match="at least 8x8 pixels, got 8x7") as raised:
        shapes(ResNet(small_images=True), (8, 7))
    assert "small_images" not in str(raised.value)
