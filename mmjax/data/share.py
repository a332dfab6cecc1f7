"""The rows of a batch that one of several processes reads."""

from typing import NamedTuple

import numpy as np

Rng = np.random.Generator


class Share(NamedTuple):
    """Rows `own` of a batch of `size` examples.

    Random numbers are drawn for the whole batch, then cut to the own rows, so that an example is
    augmented in the same way whichever process reads it.
    """

    size: int
    own: slice

    def of(self, drawn: np.ndarray) -> np.ndarray:
        """The own rows of an array `[size, ...]`."""
        return drawn[self.own]
