"""The strategies: which unlabelled examples would teach a model most."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from mmjax.active.badge import badge
from mmjax.active.core_set import core_set
from mmjax.active.uncertainty import Scores, bald, entropy, least_confidence, margin
from mmjax.errors import UserError


class Pool(NamedTuple):
    """What a model says of unlabelled rows."""

    p: Float[np.ndarray, "row class"]  # probabilities
    vectors: Float[np.ndarray, "row dim"]  # what the last layer reads
    labelled: Float[np.ndarray, "known dim"]  # the same of examples whose class is known
    passes: Float[np.ndarray, "pass row class"] | None = None  # with dropout on; for `bald`


Strategy = Callable[[Pool, int, np.random.Generator], Int[np.ndarray, "chosen"]]
"""(pool, count, rng) -> different rows, best first: `count` of them or more, if there are as many
that differ."""


def _passes(pool: Pool) -> np.ndarray:
    if pool.passes is None:
        raise UserError("bald: expected passes with dropout")
    return pool.passes


def _highest(score: Callable[[Pool], Scores]) -> Strategy:
    """All rows, the highest score first."""
    return lambda pool, count, rng: np.argsort(-score(pool), kind="stable")


STRATEGIES: Mapping[str, Strategy] = {
    "least_confidence": _highest(lambda pool: least_confidence(pool.p)),
    "margin": _highest(lambda pool: margin(pool.p)),
    "entropy": _highest(lambda pool: entropy(pool.p)),
    "bald": _highest(lambda pool: bald(_passes(pool))),
    "core_set": lambda pool, count, rng: core_set(pool.vectors, pool.labelled, count, rng),
    "badge": lambda pool, count, rng: badge(pool.p, pool.vectors, count, rng),
    "random": lambda pool, count, rng: rng.permutation(len(pool.p)),
}
READS_PASSES = ("bald",)


def require(name: str) -> Strategy:
    """The strategy of a name; a UserError names the choices."""
    if name not in STRATEGIES:
        raise UserError(f"--strategy {name}: choose from {', '.join(STRATEGIES)}")
    return STRATEGIES[name]
