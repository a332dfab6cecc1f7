"""What a training writes down, and when."""

import dataclasses
from typing import Literal

from mmjax.config.compute import require_positive


@dataclasses.dataclass(frozen=True)
class Keeping:
    """Validations, checkpoints and logs: a run may go on with other ones.

    Attributes:
        eval_every: steps between validations; each is followed by a checkpoint
        log_every: steps that one line of metrics.jsonl averages
        keep: newest checkpoints to keep
        best_metric: validation metric whose best checkpoint is kept too
        best_mode: whether more or less of it is better
        tensorboard: write TensorBoard event files too
    """

    # Not comments beside the fields: tyro finds no comments of classes made at run time.
    eval_every: int = 500
    log_every: int = 50
    keep: int = 2
    best_metric: str = "loss"
    best_mode: Literal["max", "min"] = "min"
    tensorboard: bool = False

    def __post_init__(self) -> None:
        for name in ("eval_every", "log_every", "keep"):
            require_positive(name, getattr(self, name))
