"""How a training is computed."""

import dataclasses
from typing import Literal

from mmjax.errors import UserError


@dataclasses.dataclass(frozen=True)
class Compute:
    """Devices, memory and speed: a run may go on with other ones, to rounding the same.

    Attributes:
        parallel: how a step is spread over devices
        devices: how many; None: all, and on a CPU up to 8 cores that divide the batch
        fsdp: devices that share one state, each with its part of large parameters and of the
            optimiser's moments (needs `parallel` jit): for models that outgrow a device. To be
            evaluated the parameters alone must fit
        accumulate: parts in which the gradient of a batch is computed, one after the other: less
            memory for the same update, but for dropout's masks
        remat: recompute what blocks (of transformers, of residual and convolutional networks)
            compute inside for the gradient, instead of keeping it: less memory, a third more time
        kernels: XLA's, or on NVIDIA GPUs cuDNN's LSTM and (with bfloat16) attention, where it has
            one for these shapes. Not yet run on a GPU
        steps_per_call: steps in one compiled program, so that small steps do not wait for Python;
            data that are not changed in training lie on the device. Log lines are the same, written
            after each call; checkpoints come between calls
        buckets: lengths in which batches of texts, sounds and series may come: all of it, half of
            it, a quarter ..., each a program of its own; short ones then cost less
        workers: processes that make the batches; 0: a thread
        on_nonfinite: where the loss or a gradient is NaN or infinite: stop at once; skip the
            update; or ignore it, so that the parameters become NaN
        skip_limit: updates skipped in a row before the training stops after all
    """

    # Not comments beside the fields: tyro finds no comments of classes made at run time.
    parallel: Literal["jit", "pmap"] = "pmap"
    devices: int | None = None
    fsdp: int = 1
    accumulate: int = 1
    remat: bool = False
    kernels: Literal["xla", "vendor"] = "xla"
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


def require_positive(name: str, value: int) -> None:
    """UserError for a number below 1."""
    if value < 1:
        raise UserError(f"--{name.replace('_', '-')}: expected at least 1, got {value}")
