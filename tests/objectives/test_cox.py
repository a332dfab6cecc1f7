"""Proportional hazards: by the definition with ties, as lifelines, and the same on 8 devices."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmjax.data.targets import Survival
from mmjax.devices import parallel
from mmjax.layers.tracing import collectives
from mmjax.metrics.survival import concordance
from mmjax.objectives import Cox
from mmjax.types import Batch, Outputs
from tests.samples import target

OBJECTIVE = Cox(output="y", target="t")
RNG = np.random.default_rng(0)
HAZARD = RNG.normal(size=32).astype(np.float32)
TIMES = RNG.integers(0, 8, 32).astype(np.float32)  # with ties
EVENTS = (RNG.random(32) < 0.6).astype(np.float32)
MASK = np.arange(32) % 7 > 0


def batch(times=TIMES, mask=MASK):
    weight = np.ones(len(times), np.float32)
    values = np.stack([times, EVENTS[: len(times)]], axis=1)
    return Batch({}, {"t": target(values, mask)}, weight, np.arange(len(times)))


def by_definition(hazard, time, event):
    """Efron's sum, time by time."""
    total = 0.0
    for t in np.unique(time[event > 0]):
        tied = (time == t) & (event > 0)
        at_risk, sum_tied = np.exp(hazard[time >= t]).sum(), np.exp(hazard[tied]).sum()
        d = tied.sum()
        total += hazard[tied].sum()
        total -= sum(np.log(at_risk - step / d * sum_tied) for step in range(d))
    return total


def test_the_loss_is_efron_s_sum_per_event():
    found = OBJECTIVE(Outputs({"y": jnp.asarray(HAZARD)}), batch())["loss"]
    kept = HAZARD[MASK].astype(float), TIMES[MASK], EVENTS[MASK]
    np.testing.assert_allclose(found.mean(), -by_definition(*kept) / EVENTS[MASK].sum(), rtol=1e-5)
    assert float(found.count) == EVENTS[MASK].sum()


def test_the_loss_and_the_concordance_are_those_of_lifelines():
    lifelines = pytest.importorskip("lifelines")
    import pandas

    covariate = RNG.normal(size=32)
    frame = pandas.DataFrame({"x": covariate, "time": TIMES, "event": EVENTS})
    fitted = lifelines.CoxPHFitter().fit(frame, "time", "event")  # Efron's ties
    hazard = (covariate * fitted.params_["x"]).astype(np.float32)
    found = OBJECTIVE(Outputs({"y": jnp.asarray(hazard)}), batch(mask=np.ones(32, bool)))["loss"]
    np.testing.assert_allclose(-found.total, fitted.log_likelihood_, rtol=1e-5)
    rounded = np.round(HAZARD, 0)  # with ties of the hazards too
    np.testing.assert_allclose(
        concordance(rounded, TIMES, EVENTS > 0),
        lifelines.utils.concordance_index(TIMES, -rounded, EVENTS),
        rtol=1e-12,
    )


def update(scale, given, *, axis):
    with collectives.over(axis):

        def share(scale):
            loss = OBJECTIVE(Outputs({"y": scale * given[0]}), given[1])["loss"]
            return loss.total / collectives.total(loss.count), loss

        gradient, loss = jax.grad(share, has_aux=True)(scale)
        return collectives.total(gradient), {"loss": collectives.total(loss)}


def test_hazards_are_summed_over_the_global_batch():
    scale = jnp.float32(1.5)
    expected, means = jax.jit(functools.partial(update, axis=None))(scale, (HAZARD, batch()))
    wrapped = parallel.WRAPPERS["pmap"](update, parallel.mesh_of(8))
    found, others = wrapped(scale, (HAZARD, batch()))
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    np.testing.assert_allclose(others["loss"].mean(), means["loss"].mean(), rtol=1e-5)


def test_huge_hazards_and_no_events_are_finite():
    for hazard in (HAZARD * 1e4, HAZARD * 0, HAZARD + 1e6):
        loss = lambda h: OBJECTIVE(Outputs({"y": h}), batch())["loss"].mean()  # noqa: E731
        value, gradient = jax.value_and_grad(loss)(jnp.asarray(hazard))
        assert np.isfinite(value) and np.all(np.isfinite(gradient))
    none = OBJECTIVE(Outputs({"y": jnp.asarray(HAZARD)}), batch(mask=np.zeros(32, bool)))["loss"]
    assert float(none.mean()) == 0


def test_the_concordance_of_the_right_order_is_one_and_of_none_undefined():
    time, event = np.array([1.0, 2.0, 3.0]), np.array([True, True, False])
    assert concordance(np.array([3.0, 2.0, 1.0]), time, event) == 1
    assert concordance(np.array([1.0, 2.0, 3.0]), time, event) == 0
    assert concordance(np.zeros(3), time, event) == 0.5
    assert np.isnan(concordance(np.zeros(3), time, np.zeros(3, bool)))


@pytest.mark.parametrize(
    "text, expected", [("12.5", (12.5, 1.0)), (" 3+ ", (3.0, 0.0)), ("0", (0.0, 1.0))]
)
def test_times_are_read_as_r_prints_them(text, expected):
    assert Survival.read(text) == expected


@pytest.mark.parametrize("text", ["", "-1", "3 + 4", "nan", "soon"])
def test_a_time_that_is_none_is_refused(text):
    with pytest.raises(ValueError, match=r"expected a time such as 12\.5"):
        Survival.read(text)


def test_a_row_with_another_event_is_named():
    with pytest.raises(ValueError, match="row 1: expected a time of 0 or more and an event 0 or 1"):
        Survival()([(1.0, 1.0), (1.0, 2.0)])
