"""From a ranking to a batch for people: of all classes, and without near twins."""

import math

import numpy as np
from jaxtyping import Float, Int

from mmjax.active.core_set import squared

_PAIRS = 1000  # whose median distance is the unit


def choose(
    ranking: Int[np.ndarray, "ranked"],
    count: int,
    *,
    vectors: Float[np.ndarray, "row dim"],
    classes: Int[np.ndarray, "row"] | None = None,
    twins: float = 0.05,
) -> Int[np.ndarray, "chosen"]:
    """Up to `count` rows, best first; fewer only where all others are near twins of these.

    Args:
        ranking: different rows, best first
        count: of the batch
        vectors: of all rows; they say which are near twins
        classes: predicted for all rows; each then gets an equal share of the batch, as far as the
            ranking has rows of it. None: classes are not balanced
        twins: rows nearer than this share of the median distance of two rows are near twins, of
            which one is chosen; 0: only rows that coincide
    """
    least = (twins * _scale(vectors)) ** 2
    nearest = np.full(len(vectors), np.inf)
    chosen: list[int] = []
    limit = count if classes is None else math.ceil(count / max(len({*classes[ranking]}), 1))
    taken: dict[int, int] = {}
    for quota in (limit, count):  # what classes of few rows leave goes to the others
        for row in ranking.tolist():
            number = 0 if classes is None else int(classes[row])
            full = taken.get(number, 0) >= quota
            if len(chosen) == count or full or nearest[row] <= least:
                continue
            chosen.append(row)
            taken[number] = taken.get(number, 0) + 1
            nearest = np.minimum(nearest, squared(vectors, vectors[row]))
    return np.array(sorted(chosen, key=ranking.tolist().index), int)


def _scale(vectors: Float[np.ndarray, "row dim"]) -> float:
    """The median distance of random pairs of rows."""
    left, right = np.random.default_rng(0).integers(0, max(len(vectors), 1), (2, _PAIRS))
    gaps = vectors[left].astype(np.float64) - vectors[right] if len(vectors) else np.zeros((1, 1))
    return float(np.median(np.sqrt(np.square(gaps).sum(axis=1))))
