"""The privacy budget of a run: planned before its first step, kept in privacy.json.

Epsilon is computed from the privacy loss distribution (PLD) of the Gaussian mechanism on Poisson
batches, for neighbours that differ by one added or removed example (Doroshenko et al. 2022,
arXiv:2207.04380), by dp-accounting.
"""

import importlib.metadata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmjax.config import Private
from mmjax.errors import MissingPackageError, UserError
from mmjax.io import json_file

FILE = "privacy.json"


def planned(
    run: Path, private: Private, *, examples: int, batch_size: int, steps: int
) -> dict[str, Any]:
    """The budget of a run: the one that it began with, or a new one.

    Args:
        run: the folder of the run
        private: what was asked for
        examples: of the training split
        batch_size: expected number of examples of a batch
        steps: of the whole training

    Raises:
        UserError: the budget cannot be kept, or the run began with another one.
    """
    private.check()
    given = {"delta": private.delta, "clip": private.clip, "steps": steps}
    given |= {"examples": examples, "batch_size": batch_size}
    if (run / FILE).exists():
        stored = json_file.read(run / FILE)
        wanted = {"noise": private.noise, "target_epsilon": private.epsilon, **given}
        wanted = {name: value for name, value in wanted.items() if value is not None}
        if other := [name for name, value in wanted.items() if stored.get(name) != value]:
            raise UserError(f"{run / FILE}: the run began with another {', '.join(other)}")
        return stored
    if (run / "checkpoints").exists():
        raise UserError(f"{run}: has checkpoints and no {FILE}: what it has spent is not known")
    if batch_size > examples:
        raise UserError(f"--batch-size: expected at most {examples} examples, got {batch_size}")
    if private.delta is None or private.delta >= 1 / examples:
        raise UserError(
            f"--private.delta: expected below 1/{examples}, one over the number of examples, got "
            f"{private.delta}"
        )
    noise = private.noise
    if noise is None and private.epsilon is not None:
        noise = noise_for(private.epsilon, private.delta, batch_size / examples, steps)
    spent = epsilon(noise or 0.0, private.delta, batch_size / examples, steps)
    if private.epsilon is not None and not spent <= private.epsilon:
        raise UserError(f"--private.epsilon {private.epsilon}: no noise was found that keeps it")
    return {
        "epsilon": spent,
        "noise": noise,
        "target_epsilon": private.epsilon,
        **given,
        "sampling": "poisson",
        "neighbours": "add or remove one example",
        "accountant": "pld",
        "versions": {
            name: importlib.metadata.version(name) for name in ("dp-accounting", "jax-privacy")
        },
    }


def keep(run: Path, budget: Mapping[str, Any]) -> None:
    """Write the budget, unless the run has one."""
    if not (run / FILE).exists():
        json_file.write(run / FILE, budget)


def summary(budget: Mapping[str, Any]) -> str:
    """A line for the user."""
    return (
        f"private: epsilon {budget['epsilon']:.3f} at delta {budget['delta']:g} after "
        f"{budget['steps']} steps; noise {budget['noise']:.4g}, clip {budget['clip']:g}, "
        f"{budget['batch_size']} of {budget['examples']} examples a step on average"
    )


def epsilon(noise: float, delta: float, probability: float, steps: int) -> float:
    """What a training spends."""
    dp = _package()
    accountant = dp.pld.PLDAccountant()
    accountant.compose(_event(dp, noise, probability, steps))
    return float(accountant.get_epsilon(delta))


def noise_for(epsilon: float, delta: float, probability: float, steps: int) -> float:
    """The smallest noise, to 0.001, with which a training spends at most `epsilon`.

    Raises:
        UserError: there is none from 0.3 to 1000.
    """
    dp = _package()
    # A coarser grid is faster and never tells too small an epsilon.
    grid = min(1e-3, epsilon / 2000)
    try:
        return float(
            dp.calibrate_dp_mechanism(
                lambda: dp.pld.PLDAccountant(value_discretization_interval=grid),
                lambda noise: _event(dp, noise, probability, steps),
                epsilon,
                delta,
                bracket_interval=dp.ExplicitBracketInterval(0.3, 1000.0),
                tol=1e-3,
            )
        )
    except ValueError:
        raise UserError(
            f"--private.epsilon {epsilon}: no noise from 0.3 to 1000 gives it in {steps} steps"
        ) from None


def _event(dp: Any, noise: float, probability: float, steps: int) -> Any:
    one = dp.PoissonSampledDpEvent(probability, dp.GaussianDpEvent(noise))
    return dp.SelfComposedDpEvent(one, steps)


def _package() -> Any:
    try:
        import dp_accounting
        import dp_accounting.pld
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            f"--private needs an extra: pip install 'mmjax[dp]' ({error.name} is missing)"
        ) from None
    return dp_accounting
