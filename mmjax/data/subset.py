"""A share of the training examples, for learning curves over the size of the data."""

from collections.abc import Hashable, Mapping, Sequence

import numpy as np

from mmjax.data.dataset import Examples, Picked, Rows, Source
from mmjax.data.share import Rng

_CHUNK = 1000  # examples whose targets are read at a time


class Subset(Source):
    """Some examples of a source."""

    def __init__(self, source: Source, rows: np.ndarray) -> None:
        self._source, self._rows = source, rows
        self.draws = source.draws

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def threads(self) -> int:
        """How many batches are read at once: as many as from the source."""
        return self._source.threads

    def read(self, indices: np.ndarray, rng: Rng | None, own: slice = slice(None)) -> Examples:
        """Rows of the source at the chosen places."""
        return self._source.read(self._rows[indices], rng, own)

    def columns(self) -> Mapping[str, Rows] | None:
        """All rows of the source, of which `pick` names some."""
        return self._source.columns()

    def pick(self, indices: np.ndarray, rng: Rng, own: slice = slice(None)) -> Picked:
        """Indices of the rows of `columns`."""
        return self._source.pick(self._rows[indices], rng, own)


def chosen(classes: Sequence[Hashable], share: float) -> np.ndarray:
    """The examples of a share, in order: as many of each class, at least one.

    A smaller share's examples are among those of a larger one. The choice is random, and always
    the same.
    """
    by_class: dict[Hashable, list[int]] = {}
    for row, name in enumerate(classes):
        by_class.setdefault(name, []).append(row)
    rng = np.random.default_rng(0)
    orders = [rng.permutation(rows) for _, rows in sorted(by_class.items(), key=lambda i: i[1][0])]
    kept = [order[: max(1, round(share * len(order)))] for order in orders]
    return np.sort(np.concatenate(kept))


def classes_of(source: Source, target: str | None) -> list[Hashable]:
    """The target of each example of a source as read; all the same for None."""
    if target is None:
        return [0] * len(source)
    found: list[Hashable] = []
    for first in range(0, len(source), _CHUNK):
        rows = np.arange(first, min(first + _CHUNK, len(source)))
        found += map(str, source.read(rows, None).targets[target])
    return found
