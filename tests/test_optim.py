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


@pytest.mark.parametrize("optim", [AdamW(weight_decay=0.5), Sgd(weight_decay=0.5)])
def test_weight_decay_acts_on_kernels_and_embeddings_alone(optim):
    updates = update(optim, 0.0)
    moved = {name for group in updates.values() for name, x in group.items() if np.any(x)}
    assert moved == {"kernel", "embedding", "recurrent_kernel"}


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
