import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmjax.encoders import Gru, Lstm, PatchTransformer, Tcn
from tests.encoders.shapes import tokens_of
from tests.samples import series

MODULES = [
    Lstm(dim=8, pooling="none", time=0),
    Gru(dim=8, pooling="none", time=0),
    Tcn(8, layers=2, pooling="none", time=0),
    PatchTransformer(patch=1, dim=8, layers=1, heads=2, time=0),
]


@pytest.mark.parametrize(
    "module, count",
    [(Tcn(dim=64, pooling="none"), 9), (Tcn(), 1), (PatchTransformer(), 3), (Lstm(), 1)],
    ids=repr,
)
def test_a_series_of_nine_steps_is_so_many_tokens(module, count):
    assert tokens_of(module, 9, 3).values.shape == (2, count, 64)


@pytest.mark.parametrize("module", MODULES, ids=repr)
def test_how_long_after_the_step_before_is_read(module):
    """Both parameters and data the same; only what the last step is apart from the one before."""
    given = series(lengths=(9, 9))
    later = given.values.at[0, 8, 0].add(5.0)
    variables = jax.jit(lambda: module.init(jax.random.key(0), *_args(given), train=False))()
    before = module.apply(variables, given.values, given.mask, train=False).values
    after = module.apply(variables, later, given.mask, train=False).values
    assert np.any(after[0, 8] != before[0, 8])
    np.testing.assert_array_equal(after[1], before[1])


@pytest.mark.parametrize("module", MODULES, ids=repr)
def test_a_channel_of_time_that_there_is_not_is_refused(module):
    with pytest.raises(ValueError, match="time=5: expected one of the channels 0 to 2"):
        tokens_of(module.clone(time=5), 9, 3)


@pytest.mark.parametrize("causal", [False, True])
def test_how_far_a_step_of_a_tcn_sees(causal):
    """Through gradients: with 3 taps and 2 layers 6 others, before it or on both sides."""
    module, given = Tcn(4, layers=2, causal=causal, pooling="none"), jnp.ones((1, 20, 2))
    mask = jnp.ones((1, 20), bool)
    given = given + jnp.arange(20.0)[None, :, None] * jnp.array([0.1, -0.2])[None, None]
    variables = module.init(jax.random.key(1), given, mask, train=False)

    def middle(values):
        return jnp.sum(module.apply(variables, values, mask, train=False).values[0, 10] ** 2)

    seen = np.flatnonzero(np.any(np.asarray(jax.grad(middle)(given))[0] != 0, axis=1))
    # Of some unit the ReLU is shut: what can be seen is a bound.
    first, last = (4, 10) if causal else (7, 13)
    assert first <= seen.min() and seen.max() <= last and 10 in seen
    assert (seen.max() > 10) != causal


def test_dropout_acts_in_training_alone():
    given = series()
    for module in (Tcn(8, layers=1, dropout=0.5), PatchTransformer(dim=8, heads=2, dropout=0.5)):
        variables = jax.jit(
            lambda m=module: m.init(jax.random.key(0), *_args(given), train=False)
        )()

        def run(train, key, module=module, variables=variables):
            rngs = {"dropout": jax.random.key(key)}
            return module.apply(variables, *_args(given), train=train, rngs=rngs).values

        assert np.any(run(True, 1) != run(True, 2))
        np.testing.assert_array_equal(run(False, 1), run(False, 2))


def test_fields_that_cannot_be_are_refused():
    for module, message in (
        (Tcn(size=0), "Tcn.size: expected at least 1, got 0"),
        (Tcn(dropout=1.0), "Tcn.dropout: expected 0 to below 1"),
        (PatchTransformer(patch=0), "PatchBlocks.patch: expected at least 1, got 0"),
        (PatchTransformer(heads=3), "heads=3 must divide dim=64; choose from"),
    ):
        with pytest.raises(ValueError, match=message):
            tokens_of(module, 9, 3)


def _args(given):
    return given.values, given.mask
