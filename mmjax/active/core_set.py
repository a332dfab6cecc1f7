"""Core-set: examples that cover the others, Sener and Savarese 2018, arXiv:1708.00489."""

import numpy as np
from jaxtyping import Float, Int

Vectors = Float[np.ndarray, "row dim"]


def core_set(
    vectors: Vectors, labelled: Float[np.ndarray, "known dim"], count: int, rng: np.random.Generator
) -> Int[np.ndarray, "chosen"]:
    """Greedy k-centers: again and again the row farthest from all that is labelled or chosen.

    The largest distance that is left is at most twice the smallest possible one. Without labelled
    rows the first is drawn. Rows that coincide with a chosen one are never chosen.
    """
    nearest = np.full(len(vectors), np.inf)
    for known in labelled:
        nearest = np.minimum(nearest, squared(vectors, known))
    chosen: list[int] = []
    while len(chosen) < count and nearest.max(initial=0) > 0:
        unknown = np.isinf(nearest).all()
        row = int(rng.integers(len(vectors))) if unknown else int(nearest.argmax())
        chosen.append(row)
        nearest = np.minimum(nearest, squared(vectors, vectors[row]))
    return np.array(chosen, int)


def squared(vectors: Vectors, one: Float[np.ndarray, "dim"]) -> Float[np.ndarray, "row"]:
    """Squared distances of all rows from one vector, float64."""
    return np.square(vectors.astype(np.float64) - one.astype(np.float64)).sum(axis=1)
