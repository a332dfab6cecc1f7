"""A process's share of a batch: its rows alone are read, and changed as if all had been."""

from collections.abc import Callable
from typing import Any

import numpy as np

_DRAWS = ("random", "standard_normal", "normal", "uniform", "integers")


class OwnDraws(np.random.Generator):
    """Draws what `rng` would for a whole batch and gives the rows of a share.

    What happens to an example then does not depend on who else reads it. The first axis of a draw
    is the rows of the share; one without a size is a number for the whole batch.

    Raises:
        ValueError: a draw is of another length, or of a kind that cannot be cut.
    """

    def __init__(self, rng: np.random.Generator, batch: np.ndarray, own: slice) -> None:
        """Of the examples `batch` these are the rows `own`."""
        super().__init__(rng.bit_generator)
        self.batch, self.own = batch, own

    def among(self, there: np.ndarray) -> "OwnDraws":
        """The same for the rows of the batch for which `there` is true."""
        first, last = (int(np.sum(there[:end])) for end in (self.own.start, self.own.stop))
        return OwnDraws(self, self.batch[there], slice(first, last))

    def random(self, size=None, dtype=np.float64):
        return self._cut(super().random, size, dtype=dtype)

    def standard_normal(self, size=None, dtype=np.float64):
        return self._cut(super().standard_normal, size, dtype=dtype)

    def normal(self, loc=0.0, scale=1.0, size=None):
        return self._cut(super().normal, size, loc=loc, scale=scale)

    def uniform(self, low=0.0, high=1.0, size=None):
        return self._cut(super().uniform, size, low=low, high=high)

    def integers(self, low, high=None, size=None, dtype=np.int64, endpoint=False):
        given = {"low": low, "high": high, "dtype": dtype, "endpoint": endpoint}
        return self._cut(super().integers, size, **given)

    def _cut(self, draw: Callable, size: Any, **given: Any) -> Any:
        count = self.own.stop - self.own.start
        shape = () if size is None else tuple(np.ravel(size).tolist())
        if shape[:1] == (count,):
            return draw(size=(len(self.batch), *shape[1:]), **given)[self.own]
        drawn = draw(size=size, **given)
        if np.ndim(drawn):
            raise ValueError(
                f"several processes: expected draws for {count} examples, those of this process, "
                f"got shape {np.shape(drawn)}: the first axis must be the batch"
            )
        return drawn

    def __getattribute__(self, name: str) -> Any:
        inherited = hasattr(np.random.Generator, name) and not name.startswith("_")
        if inherited and name not in (*_DRAWS, "bit_generator"):
            raise ValueError(
                f"several processes: a draw with {name!r} cannot be cut into their shares: choose "
                f"from {', '.join(_DRAWS)}"
            )
        return super().__getattribute__(name)


def whole(indices: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The batch of which these examples are a share."""
    return rng.batch if isinstance(rng, OwnDraws) else indices


def among(rng: np.random.Generator, there: np.ndarray) -> np.random.Generator:
    """What draws for some rows of the `whole` batch only, where `there` is true."""
    return rng.among(there) if isinstance(rng, OwnDraws) else rng
