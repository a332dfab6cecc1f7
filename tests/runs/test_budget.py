"""The budget of private training: exact for what is known, and never overdrawn."""

import math

import pytest
import scipy.optimize
from scipy.stats import norm

from mmjax.config import Private
from mmjax.errors import UserError
from mmjax.io import json_file
from mmjax.runs import budget

GIVEN = {"examples": 1000, "batch_size": 50, "steps": 20}


def exact(noise, delta):
    """Epsilon of one Gaussian mechanism, Balle and Wang 2018, arXiv:1805.06530, theorem 8."""

    def delta_of(epsilon):
        half, shift = 1 / (2 * noise), epsilon * noise
        return norm.cdf(half - shift) - math.exp(epsilon) * norm.cdf(-half - shift) - delta

    return scipy.optimize.brentq(delta_of, 0, 50)


@pytest.mark.parametrize("noise", [0.7, 2.0])
def test_one_step_on_all_examples_is_the_gaussian_mechanism(noise):
    assert budget.epsilon(noise, 1e-5, 1.0, 1) == pytest.approx(exact(noise, 1e-5), rel=1e-2)
    # n steps with noise s are one step with noise s / sqrt(n)
    assert budget.epsilon(2 * noise, 1e-5, 1.0, 4) == pytest.approx(exact(noise, 1e-5), rel=1e-2)


def test_the_noise_for_an_epsilon_spends_nearly_all_and_never_more(tmp_path):
    plan = budget.planned(tmp_path, Private(epsilon=3.0, delta=1e-4), **GIVEN)
    assert 2.95 < plan["epsilon"] <= 3.0
    assert plan["epsilon"] == budget.epsilon(plan["noise"], 1e-4, 0.05, 20)
    halved = budget.planned(
        tmp_path, Private(noise=plan["noise"], delta=1e-4), **GIVEN | {"steps": 10}
    )
    assert halved["epsilon"] < plan["epsilon"]


@pytest.mark.parametrize(
    ("private", "message"),
    [
        (Private(delta=1e-4), "either --private.noise or --private.epsilon, got neither"),
        (Private(noise=1.0, epsilon=1.0, delta=1e-4), "got both"),
        (Private(clip=2.0), "got neither"),
        (Private(noise=1.0), "--private.delta: expected a number in 0 to 1, got None"),
        (Private(noise=1.0, delta=1e-3), "--private.delta: expected below 1/1000"),
        (Private(noise=0.0, delta=1e-4), "--private.noise: expected above 0"),
        (Private(epsilon=math.inf, delta=1e-4), "--private.epsilon: expected above 0"),
        (Private(epsilon=0.001, delta=1e-4), "--private.epsilon: expected at least 0.01"),
        (Private(epsilon=99.0, delta=1e-4), "no noise from 0.3 to 1000 gives it in 20 steps"),
        (Private(noise=1.0, delta=1e-4, clip=0.0), "--private.clip: expected above 0"),
        (Private(noise=1.0, delta=1e-4, microbatch=0), "--private.microbatch: expected at least 1"),
    ],
)
def test_an_unclear_budget_is_refused(tmp_path, private, message):
    with pytest.raises(UserError) as error:
        budget.planned(tmp_path, private, **GIVEN)
    assert message in str(error.value)


def test_a_run_goes_on_with_the_budget_that_it_began_with(tmp_path):
    private = Private(epsilon=3.0, delta=1e-4)
    plan = budget.planned(tmp_path, private, **GIVEN)
    budget.keep(tmp_path, plan)
    changed = json_file.read(tmp_path / budget.FILE) | {"noise": 5.0}
    json_file.write(tmp_path / budget.FILE, changed)  # as by another version's accountant
    assert budget.planned(tmp_path, private, **GIVEN)["noise"] == 5.0
    with pytest.raises(UserError, match="the run began with another examples"):
        budget.planned(tmp_path, private, **GIVEN | {"examples": 1001})
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / budget.FILE).unlink()
    with pytest.raises(UserError, match="what it has spent is not known"):
        budget.planned(tmp_path, private, **GIVEN)
