"""The rows of a batch that one of several processes reads."""

from typing import NamedTuple

import numpy as np


class Share(NamedTuple):
    """Rows `own` of a batch of `size`: all randomness is drawn for the batch, then cut.

    So an example is augmented alike, whichever process reads it.
    """

    size: int
    own: slice

    def of(self, drawn: np.ndarray) -> np.ndarray:
        """The own rows of an array `[size, ...]`."""
        return drawn[self.own]
