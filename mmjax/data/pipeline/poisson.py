"""Poisson batches: every example is in every batch with the same probability, independently.

This is what the accounting of private training assumes. Batches have random sizes; they are filled
up to one size with rows of weight 0, so that one program computes them all.
"""

import bisect
import dataclasses

import numpy as np
import scipy.stats

from mmjax.data.share import Rng, Share
from mmjax.errors import UserError

OVERFLOW = 1e-12  # chance that some batch of a million steps has more examples than rows
PARTS = 8  # numbers of devices that divide this share the rows of a batch evenly


def rows(length: int, batch_size: int, multiple: int) -> int:
    """The rows of a batch: enough for all but a chance of `OVERFLOW`, and a multiple.

    The number does not depend on the devices: what is drawn for a batch depends on it.
    """
    drawn = scipy.stats.binom(length, batch_size / length)
    sizes = range(1, length + 1)
    most = 1 + bisect.bisect_left(sizes, True, key=lambda size: drawn.sf(size) <= OVERFLOW / 1e6)
    return -(-most // multiple) * multiple


@dataclasses.dataclass(frozen=True)
class Poisson:
    """The examples of a step; a class, so that it can be sent to a worker.

    Attributes:
        length: of the training split
        batch_size: expected number of examples
        size: rows of a batch
        key: a secret number: who knows the batches knows more than the accounting allows
        seed: of what is drawn for the examples, such as their augmentation
    """

    length: int
    batch_size: int
    size: int
    key: int
    seed: int

    def __call__(self, step: int) -> tuple[np.ndarray, Rng, Share]:
        """The examples of a step (-1: none), the generator of its draws, and the own rows."""
        rng = np.random.default_rng([self.key, step])
        drawn = np.flatnonzero(rng.random(self.length) < self.batch_size / self.length)
        if len(drawn) > self.size:
            raise UserError(
                f"step {step}: a private batch of {len(drawn)} examples, more than {self.size}, "
                f"which has a chance of {OVERFLOW}: start the training again"
            )
        # Not in the order of the split: parts of a batch go to different devices.
        indices = np.full(self.size, -1)
        indices[: len(drawn)] = rng.permutation(drawn)
        own = np.random.default_rng([self.seed, step])
        return indices, own, Share(self.size, slice(0, self.size))
