"""An experiment: the real objects, frozen, in one place."""

import dataclasses
from collections.abc import Mapping
from typing import Literal

from flax import linen as nn

from mmjax.data.dataset import Dataset
from mmjax.objectives import Objective
from mmjax.optim import Optim


@dataclasses.dataclass(frozen=True)
class Experiment:
    """One training, complete: what runs from the same Experiment gives the same numbers."""

    model: nn.Module  # {modality: Input} -> outputs
    objectives: Mapping[str, Objective]  # by the name of the output and label that each reads
    data: Dataset  # what is read, and how it is prepared
    optim: Optim  # the optimiser and its schedule
    steps: int  # updates of the parameters
    batch_size: int = 128  # examples per step, over all devices
    seed: int = 0  # of parameters, order, pairing, augmentation and dropout
    eval_every: int = 500  # steps between validations; each is followed by a checkpoint
    log_every: int = 50  # steps that one line of metrics.jsonl averages
    keep: int = 2  # newest checkpoints to keep
    best_metric: str = "loss"  # validation metric whose best checkpoint is kept too
    best_mode: Literal["max", "min"] = "min"  # whether more or less of it is better
    parallel: Literal["jit", "pmap"] = "pmap"  # how a step is spread over devices
    devices: int | None = None  # None: all; on a CPU up to 8 cores that divide the batch
    tensorboard: bool = False  # write TensorBoard event files too

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "eval_every", "log_every", "keep"):
            if getattr(self, name) < 1:
                flag = name.replace("_", "-")
                raise ValueError(f"--{flag}: expected at least 1, got {getattr(self, name)}")
        if self.devices is not None and self.devices < 1:
            raise ValueError(f"--devices: expected at least 1, got {self.devices}")

    def total_loss(self, means: Mapping[str, float]) -> float:
        """What the training minimises: the losses of the objectives by their weights."""
        return sum(o.weight * means[f"{name}/loss"] for name, o in self.objectives.items())
