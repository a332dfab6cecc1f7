import jax
import jax.numpy as jnp
import pytest
from flax import linen as nn

from mmjax.encoders import Lstm
from mmjax.evaluation.flops import flops


def test_a_product_is_two_operations_for_each_sum_of_products():
    a, b = jnp.ones((3, 4)), jnp.ones((4, 5))
    assert flops(jnp.matmul, a, b) == 2 * 3 * 4 * 5
    batched = jnp.ones((7, 3, 4)), jnp.ones((7, 4, 5))
    assert flops(lambda x, y: jnp.einsum("bij,bjk->bik", x, y), *batched) == 7 * 120


@pytest.mark.parametrize("groups", [1, 2])
def test_a_convolution_counts_its_window_and_the_channels_of_its_group(groups):
    conv = nn.Conv(8, (3, 5), feature_group_count=groups, padding="VALID")
    x = jnp.ones((2, 10, 12, 4))
    variables = conv.init(jax.random.key(0), x)
    assert flops(conv.apply, variables, x) == 2 * (2 * 8 * 8 * 8) * (3 * 5 * 4 // groups)


def test_a_loop_counts_as_often_as_it_turns():
    """Where XLA's own count takes it for one turn."""
    kernel = jnp.ones((4, 4))

    def looped(x):
        return jax.lax.scan(lambda h, _: (h @ kernel, None), x, length=9)[0]

    assert flops(looped, jnp.ones((2, 4))) == 9 * 2 * 2 * 4 * 4


def test_a_fourier_transform_counts_five_halves_n_log_n():
    for inverse in (False, True):
        x = jnp.ones((3, 33), jnp.complex64) if inverse else jnp.ones((3, 64))
        transform = jnp.fft.irfft if inverse else jnp.fft.rfft
        assert flops(transform, x) == 3 * 2.5 * 64 * 6


def test_what_is_jitted_or_chosen_between_is_counted_too():
    x = jnp.ones((2, 4))
    assert flops(jax.jit(lambda x: x @ x.T), x) == 2 * 2 * 4 * 2
    either = lambda x: jax.lax.cond(x[0, 0] > 0, lambda x: x @ x.T, lambda x: x[:, :2], x)  # noqa: E731
    assert flops(either, x) == 2 * 2 * 4 * 2


def test_an_lstm_costs_what_its_equations_say():
    batch, words, width, dim = 3, 11, 6, 8
    module, ids = Lstm(20, width, dim), jnp.zeros((batch, words), jnp.int32)
    mask = jnp.ones((batch, words), bool)
    variables = module.init(jax.random.key(0), ids, mask, train=False)
    found = flops(lambda v: module.apply(v, ids, mask, train=False), variables)
    assert found == 2 * batch * words * (width + dim) * 4 * dim
