import jax.numpy as jnp
import numpy as np

from mmjax.fusion import CompactBilinear
from mmjax.fusion.compact_bilinear import compact_bilinear, count_sketch
from mmjax.types import Tokens
from tests.samples import tokens

THERE = jnp.ones(1, bool)


def test_the_expected_inner_product_is_the_bilinear_kernel():
    """E <f(x, y), f(u, v)> = <x, u> <y, v> over the draws of places and signs.

    600 draws; the mean must lie within 4 of its own standard errors (by chance 1 in 16,000), and
    that error must be small beside the kernel, or the test would say nothing.
    """
    rng = np.random.default_rng(0)
    x, y = (rng.normal(size=(1, 6)).astype(np.float32) for _ in range(2))
    u, v = (a + 0.3 * rng.normal(size=(1, 6)).astype(np.float32) for a in (x, y))
    kernel = float((x @ u.T).item() * (y @ v.T).item())

    def feature(first, second, seed):
        sketches = [
            count_sketch(jnp.asarray(z), 32, s) for z, s in ((first, seed), (second, -seed % 2**32))
        ]
        return compact_bilinear(sketches, [THERE, THERE])[0]

    products = np.array(
        [float(jnp.vdot(feature(x, y, seed), feature(u, v, seed))) for seed in range(1, 601)]
    )
    error = products.std(ddof=1) / np.sqrt(len(products))
    assert error < 0.05 * abs(kernel)
    assert abs(products.mean() - kernel) < 4 * error


def test_it_is_the_sketch_of_the_outer_product():
    """Convolving two sketches adds their places and multiplies their signs."""
    x, y = jnp.array([[1.0, 2.0, -1.0]]), jnp.array([[0.5, 3.0]])
    found = compact_bilinear([count_sketch(x, 8, 1), count_sketch(y, 8, 2)], [THERE, THERE])
    expected = np.zeros(8)
    draws = [np.random.RandomState(seed) for seed in (1, 2)]
    places = [d.randint(8, size=n) for d, n in zip(draws, (3, 2), strict=True)]
    signs = [d.randint(2, size=n) * 2 - 1 for d, n in zip(draws, (3, 2), strict=True)]
    for i in range(3):
        for j in range(2):
            place = (places[0][i] + places[1][j]) % 8
            expected[place] += signs[0][i] * signs[1][j] * float(x[0, i] * y[0, j])
    np.testing.assert_allclose(found[0], expected, atol=1e-5)


def test_what_is_missing_is_left_out_of_the_product():
    given = tokens(("a", "b"))
    gone = {**given, "b": Tokens(given["b"].values, jnp.zeros_like(given["b"].mask))}
    np.testing.assert_allclose(
        CompactBilinear(32).apply({}, gone, train=False).values,
        CompactBilinear(32).apply({}, {"a": given["a"]}, train=False).values,
        atol=1e-6,
    )


def test_a_seed_draws_places_and_signs_of_its_own():
    given = tokens(("a", "b"))
    first, again, other = (
        CompactBilinear(32, seed=seed).apply({}, given, train=False).values for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)
