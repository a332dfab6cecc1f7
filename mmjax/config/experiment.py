"""An experiment: the real objects, frozen, in one place."""

import dataclasses
from collections.abc import Mapping
from typing import Literal

import optax
from flax import linen as nn

from mmjax.balance import JOINT, Balance
from mmjax.data.dataset import Dataset
from mmjax.objectives import Objective
from mmjax.optim import Optim


@dataclasses.dataclass(frozen=True)
class Experiment:
    """One training, complete: what runs from the same Experiment gives the same numbers.

    Attributes:
        model: {modality: Masked} -> outputs
        objectives: by the name of the output and of the label that each reads
        data: what is read, and how it is prepared
        optim: the optimiser and its schedule
        steps: updates of the parameters
        balance: what keeps one modality from crowding out the others
        batch_size: examples per step, over all devices
        seed: of parameters, order, pairing, augmentation and dropout
        eval_every: steps between validations; each is followed by a checkpoint
        log_every: steps that one line of metrics.jsonl averages
        keep: newest checkpoints to keep
        best_metric: validation metric whose best checkpoint is kept too
        best_mode: whether more or less of it is better
        ema: decay of an average of the parameters over the steps, which is then what is evaluated
            (Polyak and Juditsky 1992); 0: none
        on_nonfinite: where the loss or a gradient is NaN or infinite: stop at once; skip the
            update; or ignore it, so that the parameters become NaN
        skip_limit: updates skipped in a row before the training stops after all
        accumulate: parts in which the gradient of a batch is computed, one after the other: less
            memory for the same update, but for dropout's masks and BatchNorm, which see a part
        steps_per_call: steps in one compiled program, so that small steps do not wait for Python;
            data that are not changed in training lie on the device. Log lines are the same, written
            after each call; checkpoints come between calls
        buckets: lengths in which batches of texts, sounds and series may come: all of it, half of
            it, a quarter ..., each a program of its own; short ones then cost less
        parallel: how a step is spread over devices
        fsdp: devices that share one state, each with its part of large parameters and of the
            optimiser's moments (needs `parallel` jit): for models that outgrow a device. To be
            evaluated the parameters alone must fit
        devices: how many; None: all, and on a CPU up to 8 cores that divide the batch
        workers: processes that make the batches; 0: a thread
        tensorboard: write TensorBoard event files too
    """

    # Not comments beside the fields: tyro finds no comments of classes made at run time.
    model: nn.Module
    objectives: Mapping[str, Objective]
    data: Dataset
    optim: Optim
    steps: int
    balance: Balance = JOINT
    batch_size: int = 128
    seed: int = 0
    eval_every: int = 500
    log_every: int = 50
    keep: int = 2
    best_metric: str = "loss"
    best_mode: Literal["max", "min"] = "min"
    ema: float = 0.0
    on_nonfinite: Literal["stop", "skip", "ignore"] = "stop"
    skip_limit: int = 10
    accumulate: int = 1
    steps_per_call: int = 1
    buckets: int = 1
    parallel: Literal["jit", "pmap"] = "pmap"
    fsdp: int = 1
    devices: int | None = None
    workers: int = 0
    tensorboard: bool = False

    def __post_init__(self) -> None:
        positive = ("steps", "batch_size", "eval_every", "log_every", "keep", "skip_limit")
        for name in (*positive, "accumulate", "steps_per_call", "buckets", "fsdp"):
            if getattr(self, name) < 1:
                flag = name.replace("_", "-")
                raise ValueError(f"--{flag}: expected at least 1, got {getattr(self, name)}")
        if self.devices is not None and self.devices < 1:
            raise ValueError(f"--devices: expected at least 1, got {self.devices}")
        if self.batch_size % self.accumulate:
            raise ValueError(
                f"--accumulate: expected a divisor of --batch-size {self.batch_size}, got "
                f"{self.accumulate}"
            )
        if self.eval_every % self.steps_per_call:
            raise ValueError(
                f"--steps-per-call: expected a divisor of --eval-every {self.eval_every}, got "
                f"{self.steps_per_call}: a checkpoint is saved between two calls"
            )
        if self.fsdp > 1 and self.parallel != "jit":
            raise ValueError("--fsdp: the compiler splits the state: it needs --parallel jit")
        if self.buckets > 1 and self.steps_per_call > 1:
            raise ValueError(
                "--buckets: the steps of a call have one length: --buckets 1 or --steps-per-call 1"
            )
        if not 0 <= self.ema < 1:
            raise ValueError(f"--ema: expected 0 or more and less than 1, got {self.ema}")
        if self.workers < 0:
            raise ValueError(f"--workers: expected 0 or more, got {self.workers}")
        for name in self.objectives:
            if "/" in name or name == "auxiliary":
                raise ValueError(f"objectives: {name!r} would be read as a part of another's name")
        got, wanted = getattr(self.model, "unimodal", "none"), self.balance.unimodal
        if got not in wanted:
            raise ValueError(
                f"--balance {type(self.balance).__name__}: expected --model.unimodal "
                f"{' or '.join(wanted)}, got {got}"
            )
        modalities = set(getattr(self.model, "encoders", {}))
        if unknown := sorted(set(getattr(self.balance, "weights", ())) - modalities):
            raise ValueError(
                f"--balance.weights: unknown modalities {unknown}; choose from {sorted(modalities)}"
            )

    @property
    def frozen(self) -> tuple[str, ...]:
        """The modules, as parameters call them, that the model says are not to learn."""
        return tuple(f"encoders_{name}" for name in getattr(self.model, "frozen", ()))

    def update(self) -> optax.GradientTransformation:
        """The optimiser's, for these steps and this model."""
        return self.optim.chain(self.steps, self.frozen)

    def total_loss(self, means: Mapping[str, float]) -> float:
        """The objectives' losses by their weights; what modules and balances add is left out."""
        return sum(o.weight * means[f"{name}/loss"] for name, o in self.objectives.items())
