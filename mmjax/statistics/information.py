"""Partial information decomposition of two sources, Bertschinger et al. 2014, arXiv:1311.2839."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

_ROUNDS, _FITS = 2000, 20
_CLOSE = 1e-10  # change of a bit at which the search ends
_TINY = 1e-300

Joint = Float[np.ndarray, "first second target"]  # probabilities


class Decomposition(NamedTuple):
    """Information about the target in bits; the four sum to I(first, second; target)."""

    redundant: float  # either source tells it
    first: float  # only the first tells it (unique)
    second: float
    synergistic: float  # only both together tell it


def decompose(joint: Joint) -> Decomposition:
    """The decomposition of Bertschinger, Rauh, Olbrich, Jost and Ay ("BROJA").

    Among all joint distributions q with the same p(first, target) and p(second, target), the least
    I_q(first, second; target) is what the sources tell without synergy. It is found by alternating
    projections, Banerjee et al. 2018, arXiv:1709.07487: r = sum_y p(y) q(. | y), and q(. | y) the
    projection of r on the distributions with the right marginals.
    """
    joint = joint / joint.sum()
    of_target = joint.sum(axis=(0, 1))
    joint, of_target = joint[:, :, of_target > 0], of_target[of_target > 0]
    first, second = joint.sum(axis=1), joint.sum(axis=0)
    rows, columns = first / of_target, second / of_target  # [symbol, target]
    q = rows[:, None] * columns[None]  # [first, second, target], given the target
    least = np.inf
    for _ in range(_ROUNDS):
        mixture = q @ of_target
        q = np.repeat(mixture[:, :, None], len(of_target), axis=2)
        for _ in range(_FITS):
            q = q * (rows / np.maximum(q.sum(axis=1), _TINY))[:, None]
            q = q * (columns / np.maximum(q.sum(axis=0), _TINY))[None]
        before, least = least, information((q * of_target).reshape(-1, len(of_target)))
        if abs(before - least) < _CLOSE:
            break
    alone = information(first), information(second)
    whole = information(joint.reshape(-1, len(of_target)))
    least = min(max(least, *alone), whole)  # rounding
    return Decomposition(
        redundant=alone[0] + alone[1] - least,
        first=least - alone[1],
        second=least - alone[0],
        synergistic=whole - least,
    )


def information(joint: Float[np.ndarray, "source target"]) -> float:
    """Mutual information in bits, 0 log 0 = 0."""
    joint = joint / joint.sum()
    apart = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    some = (joint > 0) & (apart > 0)  # the smallest numbers have no product
    return max(float(np.sum(joint[some] * np.log2(joint[some] / apart[some]))), 0.0)


def counted(
    first: Int[np.ndarray, "example"],
    second: Int[np.ndarray, "example"],
    target: Int[np.ndarray, "example"],
) -> Joint:
    """The shares of examples by symbols, which are numbered from 0."""
    shape = tuple(int(one.max()) + 1 for one in (first, second, target))
    place = np.ravel_multi_index((first, second, target), shape)
    return np.bincount(place, minlength=int(np.prod(shape))).reshape(shape) / len(target)
