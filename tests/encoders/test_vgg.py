import jax
import pytest

from mmjax.encoders import Vgg
from tests.encoders.test_resnet import shapes


@pytest.mark.parametrize("depth, count", [(11, 9_220_480), (16, 14_714_688), (19, 20_024_384)])
def test_the_sizes_are_those_of_torchvision_without_the_classifier(depth, count):
    tokens, variables = shapes(Vgg(depth, batch_norm=False), (224, 224))
    assert sum(x.size for x in jax.tree.leaves(variables)) == count
    assert tokens.values.shape == (2, 49, 512)


def test_a_token_is_a_position_of_the_last_stage():
    tokens, _ = shapes(Vgg(dim=5, width=4), (63, 97))
    assert tokens.values.shape == (2, 3, 5)


def test_an_image_smaller_than_the_stride_is_refused():
    with pytest.raises(ValueError, match="at least 32x32 pixels, got 40x31"):
        shapes(Vgg(), (40, 31))
