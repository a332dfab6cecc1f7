"""Every encoder and fusion exports with any batch size, and takes `train` by position."""

import functools

import jax
import jax.export
import pytest
from flax import linen as nn

from mmjax import testing
from mmjax.encoders import Lstm
from tests import samples

BATCH = jax.export.symbolic_shape("batch")


def symbolic(tree):
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct((*BATCH, *x.shape[1:]), x.dtype), tree)


@pytest.mark.parametrize(
    "encoder, make", [pytest.param(m, i, id=n) for n, m, i in samples.encoders()]
)
def test_an_encoder_exports_with_any_batch_size(encoder, make):
    given = make()
    start = functools.partial(encoder.init, train=False)
    variables = jax.eval_shape(start, jax.random.key(0), given.values, given.mask)
    encode = functools.partial(encoder.apply, train=False)
    tokens = jax.eval_shape(encode, variables, *symbolic((given.values, given.mask)))
    assert tokens.mask.shape[0] == BATCH[0]


@pytest.mark.parametrize("fusion", [pytest.param(m, id=n) for n, m in samples.fusions()])
def test_a_fusion_exports_with_any_batch_size(fusion):
    given = testing.tokens_of(("a", "b", "c"))
    start = functools.partial(fusion.init, train=False)
    variables = jax.eval_shape(start, jax.random.key(0), given)
    fused = jax.eval_shape(functools.partial(fusion.apply, train=False), variables, symbolic(given))
    assert fused.mask.shape[0] == BATCH[0]


def test_train_may_be_given_by_position_as_lifted_transforms_ask():
    text = samples.text()
    again = nn.remat(Lstm, static_argnums=(3,))(vocabulary_size=20, dim=8)
    variables = again.init(jax.random.key(0), text.values, text.mask, False)
    assert again.apply(variables, text.values, text.mask, True).values.shape == (4, 1, 8)
