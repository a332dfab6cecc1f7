"""The settings that a resumed run may change: `Compute` and `Keeping`."""

import dataclasses
from typing import Literal

from mmjax.errors import UserError


@dataclasses.dataclass(frozen=True)
class Compute:
    """Devices, memory and speed; a run may be resumed with other values, equal up to rounding.

    Attributes:
        parallel: how a step is spread over devices: pmap gives each a share of the batch, jit lets
            the compiler split it. Of a model in bfloat16 pmap sums gradients in float32, jit in
            bfloat16: half the bytes between devices, less exact
        devices: number of devices; None: all, on a CPU up to 8 cores that divide the batch
        fsdp: number of devices that share one state, each with a part of the large parameters and
            optimiser moments: for models larger than a device's memory. Needs `parallel` jit. In
            an evaluation the parameters must fit into one device
        accumulate: number of parts in which the gradient of a batch is computed: less memory for
            the same update, with other dropout masks
        remat: recompute the values inside blocks (of transformers, residual and convolutional
            networks) for the gradient instead of storing them: less memory, a third more time
        steps_per_call: steps in one compiled program, so that small steps do not wait for Python;
            data without augmentation stay on the device. Log lines are the same, written after
            each call; checkpoints are saved between calls
        buckets: number of lengths for batches of texts, sounds and series: full, half, a quarter
            ...; one compiled program for each. Short batches then cost less
        workers: processes that prepare batches; 0: a thread
        on_nonfinite: where the loss or a gradient is NaN or infinite: stop the training, skip the
            update, or ignore it
        skip_limit: consecutive skipped updates after which the training stops
    """

    # No comments beside the fields: tyro does not find comments of classes made at run time.
    parallel: Literal["jit", "pmap"] = "pmap"
    devices: int | None = None
    fsdp: int = 1
    accumulate: int = 1
    remat: bool = False
    steps_per_call: int = 1
    buckets: int = 1
    workers: int = 0
    on_nonfinite: Literal["stop", "skip", "ignore"] = "stop"
    skip_limit: int = 10

    def __post_init__(self) -> None:
        for name in ("fsdp", "accumulate", "steps_per_call", "buckets", "skip_limit"):
            require_positive(name, getattr(self, name))
        if self.devices is not None:
            require_positive("devices", self.devices)
        if self.workers < 0:
            raise UserError(f"--workers: expected 0 or more, got {self.workers}")
        if self.fsdp > 1 and self.parallel != "jit":
            raise UserError("--fsdp: the compiler splits the state: it needs --parallel jit")
        if self.buckets > 1 and self.steps_per_call > 1:
            raise UserError(
                "--buckets: the steps of a call have one length: --buckets 1 or --steps-per-call 1"
            )


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
        wandb: also log to this project of Weights & Biases
        changed_data: go on although the data are not those that the run began with
    """

    # No comments beside the fields: tyro does not find comments of classes made at run time.
    eval_every: int = 500
    log_every: int = 50
    keep: int = 2
    best_metric: str = "loss"
    best_mode: Literal["max", "min"] = "min"
    tensorboard: bool = False
    wandb: str | None = None
    changed_data: bool = False

    def __post_init__(self) -> None:
        for name in ("eval_every", "log_every", "keep"):
            require_positive(name, getattr(self, name))


def require_positive(name: str, value: int) -> None:
    """UserError, naming the flag, for a number below 1."""
    if value < 1:
        raise UserError(f"--{name.replace('_', '-')}: expected at least 1, got {value}")
