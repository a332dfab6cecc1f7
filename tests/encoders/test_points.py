import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmjax.encoders import BirdsEye, PointNet, SetTransformer
from tests.encoders.shapes import tokens_of
from tests.samples import series

MODULES = [
    PointNet(8, (6,), align=2),
    SetTransformer(8, layers=2, heads=2, inducing=3, seeds=2),
    BirdsEye(cells=(4, 4), features=(4,), dim=8),
]


def encoded(module, values, mask):
    variables = jax.jit(lambda: module.init(jax.random.key(0), values, mask, train=False))()
    return lambda values, mask: module.apply(variables, values, mask, train=False)


@pytest.mark.parametrize("module", MODULES, ids=repr)
def test_the_order_of_the_points_does_not_matter(module):
    given = series()
    encode = encoded(module, given.values, given.mask)
    order = np.random.default_rng(0).permutation(given.mask.shape[1])
    np.testing.assert_allclose(
        encode(given.values, given.mask).values,
        encode(given.values[:, order], given.mask[:, order]).values,
        atol=1e-5,
    )


@pytest.mark.parametrize("module", MODULES, ids=repr)
def test_a_set_without_points_is_a_set_that_is_not_there(module):
    given = series()
    encode = encoded(module, given.values, given.mask)
    none = encode(jnp.zeros((2, 0, 3)), jnp.zeros((2, 0), bool))
    assert not np.any(none.mask) and not np.any(none.values)


def test_every_point_has_a_token_without_pooling():
    assert tokens_of(PointNet(pooling="none"), 7, 3).values.shape == (2, 7, 64)
    assert tokens_of(SetTransformer(seeds=4), 7, 3).values.shape == (2, 4, 64)
    found = tokens_of(BirdsEye(pooling="none"), 7, 3)
    assert found.values.shape == (2, 16, 64)  # 16 x 16 cells, halved twice


def test_the_turn_begins_near_the_identity_and_learns():
    given, module = series(), PointNet(8, (6,), align=3)
    variables = jax.jit(lambda: module.init(jax.random.key(0), *_args(given), train=False))()

    def encode(variables, align):
        return PointNet(8, (6,), align).apply(variables, *_args(given), train=False).values

    turned, plain = encode(variables, 3), encode(variables, 0)
    np.testing.assert_allclose(turned, plain, atol=0.1)
    assert np.any(turned != plain)
    gradient = jax.grad(lambda v: jnp.sum(encode(v, 3) ** 2))(variables)["params"]["align"]
    assert np.any(gradient["kernel"]) and gradient["kernel"].shape == (8, 9)


def _args(given):
    return given.values, given.mask


@pytest.mark.parametrize(
    "module, message",
    [
        (PointNet(align=4), r"PointNet\.align: expected 0 to 3, the number of features, got 4"),
        (SetTransformer(seeds=0), r"SetTransformer\.seeds: expected at least 1, got 0"),
        (BirdsEye(extent=(1.0, 1.0, 0.0, 1.0)), r"BirdsEye\.extent: expected x from < to"),
        (BirdsEye(cells=(2, 16)), r"BirdsEye\.cells: expected at least 4 along x and y"),
    ],
    ids=repr,
)
def test_fields_that_cannot_be_are_refused(module, message):
    with pytest.raises(ValueError, match=message):
        tokens_of(module, 7, 3)


def test_points_without_x_and_y_are_refused():
    with pytest.raises(ValueError, match=r"birds_eye: expected points \[x, y, \.\.\.\], got 1"):
        tokens_of(BirdsEye(), 7, 1)
