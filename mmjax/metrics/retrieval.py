"""Retrieval: how well queries find what belongs to them in a gallery; exact."""

from collections.abc import Callable, Iterator

import numpy as np
from jaxtyping import Bool, Float, Shaped

BLOCK = 4_000_000  # cosines that are computed at a time
RANKS = (1, 5, 10)


def retrieval(
    queries: Float[np.ndarray, "query dim"],
    gallery: Float[np.ndarray, "item dim"],
    group: Shaped[np.ndarray, "row 2"],
) -> dict[str, float]:
    """Recall, median rank, mean average precision and nDCG of a search by inner product.

    Row i of `queries` and of `gallery` is one example. What belongs to a query are the gallery's
    rows of its `group`. Rows of one group with the same vector, such as a picture that has five
    captions, are one item of the gallery. Of equal scores those that do not belong come first, so
    that vectors which are all equal score worst.

    Returns:
        `recall_1`, `recall_5` and `recall_10`: share of queries with a right item among the first
        so many, 0..1; `median_rank` of the best right item, from 1; `map`: mean over queries of
        the mean over right items of (right items up to it) / (items up to it); `ndcg`: Jarvelin
        and Kekalainen 2002, doi:10.1145/582415.582418, with gain 1 for right items.
    """
    found = by_query(queries, gallery, group)
    return {name: summary_of(name)(values) for name, values in found.items()}


def summary_of(name: str) -> Callable[[Float[np.ndarray, "query"]], float]:
    """How a metric of this module follows from the values of all queries: median or mean."""
    return lambda values: float((np.median if name.startswith("median") else np.mean)(values))


def by_query(
    queries: Float[np.ndarray, "query dim"],
    gallery: Float[np.ndarray, "item dim"],
    group: Shaped[np.ndarray, "row 2"],
) -> dict[str, Float[np.ndarray, "query"]]:
    """The values of each query that the metrics of `retrieval` summarise, by their names."""
    group = _numbered(group)
    rows = np.column_stack([group.astype(np.float64), gallery.astype(np.float64)])
    _, kept = np.unique(rows, axis=0, return_index=True)
    kept = np.sort(kept)
    items, item_group = gallery[kept], group[kept]
    best, precision, gain = [], [], []
    for ranks in _ranks(queries, group, items, item_group):
        right = np.arange(1, len(ranks) + 1)
        best.append(ranks[0])
        precision.append(_precision(ranks))
        gain.append(np.sum(1 / np.log2(ranks + 1)) / np.sum(1 / np.log2(right + 1)))
    found = np.array(best, np.float64)
    return {
        **{f"recall_{k}": (found <= k).astype(np.float64) for k in RANKS},
        "median_rank": found,
        "map": np.array(precision, np.float64),
        "ndcg": np.array(gain, np.float64),
    }


def average_precision(
    scores: Float[np.ndarray, "query item"], right: Bool[np.ndarray, "query item"]
) -> Float[np.ndarray, "query"]:
    """Average precision of each query: the mean over its right items of precision at their ranks.

    Precision at a rank is (right items up to it) / (items up to it). Of equal
    scores those that are not right come first. NaN for a query without a right item.
    """
    found = np.full(len(scores), np.nan)
    for query, (row, own) in enumerate(zip(scores, right, strict=True)):
        if own.any():
            found[query] = _precision(_ranks_of(row, own))
    return found


def _precision(ranks: np.ndarray) -> float:
    """Average precision of a query whose right items have these ascending ranks, from 1."""
    return float(np.mean(np.arange(1, len(ranks) + 1) / ranks))


def _numbered(group: np.ndarray) -> np.ndarray:
    return np.unique(group, axis=0, return_inverse=True)[1].reshape(-1)


def _ranks(
    queries: np.ndarray, group: np.ndarray, items: np.ndarray, item_group: np.ndarray
) -> Iterator[np.ndarray]:
    """For each query, the ranks of its right items, from 1, in ascending order."""
    size = max(1, BLOCK // len(items))
    for first in range(0, len(queries), size):
        scores = queries[first : first + size] @ items.T
        for row, own in zip(scores, group[first : first + size], strict=True):
            yield _ranks_of(row, item_group == own)


def _ranks_of(scores: np.ndarray, right: np.ndarray) -> np.ndarray:
    positive = np.sort(scores[right])[::-1]
    negative = np.sort(scores[~right])
    # Negatives with an equal or higher score come first.
    above = len(negative) - np.searchsorted(negative, positive, side="left")
    return above + np.arange(1, len(positive) + 1)
