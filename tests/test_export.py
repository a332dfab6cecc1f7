"""Every encoder, fusion and head exports with any batch size; `train` is taken by position."""

import functools

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from mmjax import testing
from mmjax.encoders import Cnn, Lstm
from mmjax.layers.tracing.rematerialisation import rematerialising
from mmjax.models import DualEncoder
from tests import samples

BATCH = jax.export.symbolic_shape("batch")


def check_export(module, *given):
    """Traced and lowered with a symbolic batch size; nothing is computed."""
    start = functools.partial(module.init, train=False)
    variables = jax.eval_shape(start, jax.random.key(0), *given)
    symbolic = jax.tree.map(lambda x: jax.ShapeDtypeStruct((*BATCH, *x.shape[1:]), x.dtype), given)
    apply = jax.jit(functools.partial(module.apply, train=False))
    exported = jax.export.export(apply, platforms=["cpu"])(variables, *symbolic)
    assert any(form.shape[:1] == BATCH for form in exported.out_avals)


@pytest.mark.parametrize(
    "encoder, make", [pytest.param(m, i, id=n) for n, m, i in samples.encoders()]
)
def test_an_encoder_exports_with_any_batch_size(encoder, make):
    given = make()
    check_export(encoder, given.values, given.mask)


@pytest.mark.parametrize("fusion", [pytest.param(m, id=n) for n, m in samples.fusions()])
def test_a_fusion_exports_with_any_batch_size(fusion):
    check_export(fusion, testing.tokens_of(("a", "b", "c")))


@pytest.mark.parametrize("head", [pytest.param(m, id=n) for n, m in samples.heads()])
def test_a_head_exports_with_any_batch_size(head):
    check_export(head, testing.tokens_of(("a",))["a"])


def test_a_dual_encoder_exports_with_any_batch_size():
    encoders = {"image": Cnn((3,), 8), "text": Lstm(vocabulary_size=20, dim=8)}
    check_export(DualEncoder(encoders=encoders), {"image": samples.image(), "text": samples.text()})


LIFTED = {
    "remat": lambda cls: nn.remat(cls, static_argnums=(3,)),
    "vmap": lambda cls: nn.vmap(
        cls, in_axes=(0, 0, None), variable_axes={"params": 0}, split_rngs={"params": True}
    ),
}


@pytest.mark.parametrize("lift", LIFTED)
@pytest.mark.parametrize(
    "cls, fields, make",
    [
        (Lstm, {"vocabulary_size": 20, "dim": 8}, samples.text),
        (Cnn, {"features": (3,), "dim": 8}, samples.image),
    ],
)
def test_lifted_transforms_give_train_by_position(lift, cls, fields, make):
    arrays = make().values, make().mask
    if lift == "vmap":
        arrays = jax.tree.map(lambda x: jnp.stack([x, x]), arrays)
    lifted = LIFTED[lift](cls)(**fields)
    tokens, _ = lifted.init_with_output(jax.random.key(0), *arrays, False)
    assert tokens.values.shape == (*arrays[1].shape[: 1 + (lift == "vmap")], 1, 8)


def test_a_rematerialised_block_takes_its_arguments_by_position_and_by_name():
    given = samples.image()
    variables = Cnn((3,), 8).init(jax.random.key(0), given.values, given.mask, False)
    with rematerialising(True):
        by_position = Cnn((3,), 8).apply(variables, given.values, given.mask, False)
        by_name = Cnn((3,), 8).apply(variables, values=given.values, mask=given.mask, train=False)
    np.testing.assert_array_equal(by_position.values, by_name.values)
