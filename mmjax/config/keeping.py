"""Validations, checkpoints and logs of a training."""

import dataclasses
from typing import Literal

from mmjax.config.compute import require_positive


@dataclasses.dataclass(frozen=True)
class Keeping:
    """Validations, checkpoints and logs; a run may be resumed with other values.

    Attributes:
        eval_every: steps between validations; a checkpoint is saved after each
        log_every: steps that one line of metrics.jsonl averages
        keep: number of newest checkpoints to keep
        best_metric: validation metric whose best checkpoint is kept too
        best_mode: whether a higher (max) or lower (min) value is better
        tensorboard: also write TensorBoard event files
    """

    # No comments beside the fields: tyro does not find comments of classes made at run time.
    eval_every: int = 500
    log_every: int = 50
    keep: int = 2
    best_metric: str = "loss"
    best_mode: Literal["max", "min"] = "min"
    tensorboard: bool = False

    def __post_init__(self) -> None:
        for name in ("eval_every", "log_every", "keep"):
            require_positive(name, getattr(self, name))
