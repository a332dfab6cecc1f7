import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from mmjax.optim import OPTIMISERS, Adam, AdamW, Sgd

pytestmark = pytest.mark.usefixtures("standard_promotion")

PARAMS = {
    "a": {"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2), "scale": jnp.ones(2)},
    "b": {"embedding": jnp.ones((3, 2)), "recurrent_kernel": jnp.ones((2, 2))},
    "c": {"nothing": jnp.ones((1, 2))},
}


def update(optim, gradient, steps=10):
    tx = optim.chain(steps)
    gradients = {
        k: {n: jnp.full_like(x, gradient) for n, x in v.items()} for k, v in PARAMS.items()
    }
    updates, _ = tx.update(gradients, tx.init(PARAMS), PARAMS)
    return updates


@pytest.mark.parametrize("optim", [cls() for cls in OPTIMISERS.values()], ids=OPTIMISERS)
def test_every_optimiser_moves_every_parameter_against_its_gradient(optim):
    updates = update(optim, 1.0)
    assert all(np.all(x < 0) for group in updates.values() for x in group.values())


@pytest.mark.parametrize("schedule, end", [("constant", 1.0), ("cosine", 0.0), ("linear", 0.0)])
def test_schedules_rise_in_the_warmup_and_then_follow_their_name(schedule, end):
    rate = Adam(peak_lr=1.0, schedule=schedule, warmup=0.2).learning_rate(100)
    rates = np.array([rate(step) for step in range(101)])
    assert 0 < rates[0] < rates[10] < rates[19] and rates[20] == rates.max() == 1.0
    assert rates[100] == pytest.approx(end, abs=1e-6)
    middle = {"constant": 1.0, "cosine": 0.5, "linear": 0.5}[schedule]
    assert rates[60] == pytest.approx(middle, abs=1e-6)


def test_without_warmup_the_first_step_has_the_peak_rate():
    assert Adam(peak_lr=0.5, warmup=0.0).learning_rate(10)(0) == 0.5


def test_clipping_bounds_the_global_norm_of_the_gradient():
    sgd = Sgd(peak_lr=1.0, schedule="constant", warmup=0.0, clip_norm=0.25)
    assert optax.tree.norm(update(sgd, 100.0)) == pytest.approx(0.25)


@pytest.mark.parametrize("wrong", [{"peak_lr": 0.0}, {"warmup": 1.5}, {"clip_norm": 0.0}])
def test_impossible_settings_are_refused_by_name(wrong):
    with pytest.raises(ValueError, match=f"optim.{next(iter(wrong))}: expected"):
        Adam(**wrong)


RATES = {"a": 0.5, "b/embed*": 0.0, "a/bias": 2.0}


@pytest.mark.parametrize("cls", OPTIMISERS.values(), ids=OPTIMISERS)
def test_rates_are_factors_of_the_longest_path_that_matches(cls):
    plain, rated = update(cls(), 1.0), update(cls(rates=RATES), 1.0)
    factors = {
        "a": {"kernel": 0.5, "bias": 2.0, "scale": 0.5},
        "b": {"embedding": 0.0, "recurrent_kernel": 1.0},
        "c": {"nothing": 1.0},
    }
    for module, group in factors.items():
        for name, factor in group.items():
            np.testing.assert_allclose(rated[module][name], factor * plain[module][name], rtol=1e-6)


def test_what_is_frozen_keeps_no_moments_and_neither_decays_nor_clips():
    optim = AdamW(rates={"a": 0.0, "b": 0.0}, weight_decay=0.5, clip_norm=1.0)
    tx = optim.chain(10)
    state = tx.init(PARAMS)
    moments = [x.shape for x in jax.tree.leaves(state) if x.ndim]
    assert moments == [(1, 2), (1, 2)]
    huge = jax.tree.map(lambda x: 1e6 * x, PARAMS)
    gradients = {**huge, "c": {"nothing": jnp.full((1, 2), 0.1)}}
    updates, _ = tx.update(gradients, state, PARAMS)
    assert not any(np.any(x) for name in "ab" for x in updates[name].values())
    sgd = Sgd(peak_lr=1.0, schedule="constant", warmup=0.0, clip_norm=1.0, rates=optim.rates)
    tx = sgd.chain(10)
    updates, _ = tx.update(gradients, tx.init(PARAMS), PARAMS)
    np.testing.assert_allclose(updates["c"]["nothing"], -0.1)


def test_a_path_that_no_parameter_has_is_refused_with_those_that_there_are():
    with pytest.raises(ValueError, match=r"--optim\.rates d/kernel: no para.* with a, b, c"):
        Adam(rates={"d/kernel": 0.5}).chain(10).init(PARAMS)
    with pytest.raises(ValueError, match=r"optim\.rates: a: expected 0 or more, got -1"):
        Adam(rates={"a": -1.0})


def test_what_is_frozen_moves_by_no_rate():
    tx = AdamW(rates={"a/kernel": 3.0}, weight_decay=0.5).chain(10, frozen=("a",))
    updates, _ = tx.update(PARAMS, tx.init(PARAMS), PARAMS)
    assert not any(np.any(x) for x in updates["a"].values())
    assert all(np.any(x) for name in "bc" for x in updates[name].values())
