"""The settings of private training: DP-SGD, Abadi et al. 2016, arXiv:1607.00133."""

import dataclasses

from mmjax.errors import UserError

SMALLEST = 0.01  # epsilon: below it the accountant's grid does not fit into memory


@dataclasses.dataclass(frozen=True)
class Private:
    """Train with differential privacy: clipped gradients of single examples, and noise.

    It is on where `noise` or `epsilon` is given; `delta` is needed then.

    Attributes:
        noise: standard deviation of the noise, in units of `clip`; None: found for `epsilon`
        epsilon: the privacy budget of the whole training; None: it follows from `noise`
        delta: chance that the budget does not hold; below one over the number of examples
        clip: largest norm of the gradient of one example; longer ones are shortened to it
        microbatch: examples of a device whose gradients are held at the same time
    """

    # No comments beside the fields: tyro does not find comments of classes made at run time.
    noise: float | None = None
    epsilon: float | None = None
    delta: float | None = None
    clip: float = 1.0
    microbatch: int = 16

    @property
    def on(self) -> bool:
        """Whether the training is private."""
        return self != Private()

    def check(self) -> None:
        """UserError unless the fields say clearly what is promised."""
        if (self.noise is None) == (self.epsilon is None):
            raise UserError(
                "--private: expected either --private.noise or --private.epsilon, got "
                f"{'both' if self.noise is not None else 'neither'}"
            )
        if self.delta is None or not 0 < self.delta < 1:
            raise UserError(f"--private.delta: expected a number in 0 to 1, got {self.delta}")
        for name in ("noise", "epsilon", "clip"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise UserError(f"--private.{name}: expected above 0, got {value}")
        if self.epsilon is not None and self.epsilon < SMALLEST:
            raise UserError(f"--private.epsilon: expected at least {SMALLEST}, got {self.epsilon}")
        if self.microbatch < 1:
            raise UserError(f"--private.microbatch: expected at least 1, got {self.microbatch}")
