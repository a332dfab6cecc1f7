import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmjax.fusion import LowRank, Tensor
from mmjax.fusion.low_rank import low_rank
from mmjax.fusion.tensor import outer
from tests.samples import tokens

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("widths", [(3,), (3, 2), (3, 2, 4)], ids=len)
def test_low_rank_is_tensor_fusion_with_a_weight_of_that_decomposition(widths):
    """W = sum_r F_1[r] (x) ... (x) F_M[r], built whole, and never built."""
    rank, dim = 3, 5
    vectors = [RNG.normal(size=(6, width)).astype(np.float32) for width in widths]
    factors = [RNG.normal(size=(rank, width + 1, dim)).astype(np.float32) for width in widths]
    letters = "abc"[: len(widths)]
    terms = ",".join(f"r{letter}d" for letter in letters)
    weight = np.einsum(f"{terms}->{letters}d", *factors).reshape(-1, dim)
    full = outer([jnp.asarray(v) for v in vectors]) @ weight
    low = low_rank([jnp.asarray(v) for v in vectors], [jnp.asarray(f) for f in factors])
    np.testing.assert_allclose(low, full, rtol=1e-4, atol=1e-4)
    assert np.std(full) > 1


def test_the_modules_agree_too_when_something_is_missing():
    given = tokens(("a", "b"))
    low = LowRank(rank=2, dim=5)
    params = low.init(jax.random.key(0), given, train=False)["params"]
    kernel = np.einsum("rad,rbd->abd", params["factor_a"], params["factor_b"]).reshape(-1, 5)
    full = Tensor(inner=None, dim=5).apply(
        {"params": {"out": {"kernel": jnp.asarray(kernel)}}}, given, train=False
    )
    found = low.apply({"params": params}, given, train=False)
    assert not np.all([np.any(t.mask, axis=1) for t in given.values()])
    np.testing.assert_allclose(found.values, full.values, rtol=1e-4, atol=1e-5)


def test_every_factor_of_the_low_rank_fusion_is_trained():
    """In two well-known libraries they never are."""
    import optax

    given = tokens(("a", "b"))
    module = LowRank(rank=2, dim=5)
    params = jax.jit(functools.partial(module.init, train=False))(jax.random.key(0), given)

    def loss(params):
        return jnp.sum(module.apply(params, given, train=False).values ** 2)

    updates = jax.tree.map(lambda g: -0.1 * g, jax.grad(loss)(params))
    after = optax.apply_updates(params, updates)
    for name in ("factor_a", "factor_b"):
        moved = np.abs(after["params"][name] - params["params"][name])
        assert np.all(np.max(moved, axis=(1, 2)) > 0)


def test_the_outer_product_holds_all_products_and_all_lower_terms():
    found = outer([jnp.array([[2.0, 3.0]]), jnp.array([[5.0]])])
    np.testing.assert_array_equal(found, [[10, 2, 15, 3, 5, 1]])


def test_too_many_products_are_refused_with_what_would_fit():
    given = tokens(("a", "b", "c"), dim=60)
    message = (
        r"226,981 products.*--model.fusion.inner to at most 39, or take low_rank, which makes none"
    )
    with pytest.raises(ValueError, match=message):
        Tensor(inner=None).init(jax.random.key(0), given, train=False)
    assert Tensor(inner=39).init(jax.random.key(0), given, train=False)
