"""An experiment: model, objectives, data, optimiser and settings of one training."""

import dataclasses
from collections.abc import Mapping

import optax

from mmjax.balance import JOINT, Balance
from mmjax.config.private import Private
from mmjax.config.settings import Compute, Keeping, require_positive
from mmjax.data.dataset import Dataset, Place
from mmjax.errors import UserError
from mmjax.models.base import Model
from mmjax.objectives import Objective
from mmjax.objectives.distillation import Taught
from mmjax.optim import Optim
from mmjax.types import MetricName


@dataclasses.dataclass(frozen=True)
class Experiment:
    """One complete training. All fields but `compute` and `keeping` identify a run.

    Attributes:
        model: {modality: Masked} -> outputs
        objectives: the losses and metrics, by names of your choice
        data: the data set
        optim: the optimiser and its schedule
        steps: number of updates
        balance: method against one modality, or one task, dominating the others
        batch_size: examples per step, over all devices
        share: of the training examples that are used: the same number of each class, and those of
            a smaller share are among those of a larger one; `mmjax curve`
        seed: random seed of parameters, data order, pairing, augmentation and dropout
        ema: decay of an exponential moving average of the parameters, which is then evaluated
            (Polyak and Juditsky 1992); 0: none
        init: folder of a finished run whose variables the training starts from, or parts of runs:
            encoders.image=runs/a:encoders.photo,fusion=runs/b; None: fresh ones
        teacher: folder of a finished run, of any modalities of the data, whose outputs are targets
            of distillation objectives: `teacher_<head>` and `teacher_embedding`; None: no teacher
        private: differential privacy of the training examples
        compute: devices, memory and speed
        keeping: validations, checkpoints and logs
    """

    # No comments beside the fields: tyro does not find comments of classes made at run time.
    model: Model
    objectives: Mapping[str, Objective]
    data: Dataset
    optim: Optim
    steps: int
    balance: Balance = JOINT
    batch_size: int = 128
    share: float = 1.0
    seed: int = 0
    ema: float = 0.0
    init: Place = None
    teacher: Place = None
    private: Private = dataclasses.field(default_factory=Private)
    compute: Compute = dataclasses.field(default_factory=Compute)
    keeping: Keeping = dataclasses.field(default_factory=Keeping)

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size"):
            require_positive(name, getattr(self, name))
        if not 0 <= self.ema < 1:
            raise UserError(f"--ema: expected 0 or more and less than 1, got {self.ema}")
        if not 0 < self.share <= 1:
            raise UserError(f"--share: expected more than 0 and at most 1, got {self.share}")
        if self.batch_size % self.compute.accumulate:
            raise UserError(
                f"--accumulate: expected a divisor of --batch-size {self.batch_size}, got "
                f"{self.compute.accumulate}"
            )
        if self.keeping.eval_every % self.compute.steps_per_call:
            raise UserError(
                f"--steps-per-call: expected a divisor of --eval-every {self.keeping.eval_every}, "
                f"got {self.compute.steps_per_call}: a checkpoint is saved between two calls"
            )
        if self.private.on:
            self._check_private()
        self._check_objectives()
        if self.model.unimodal not in self.balance.unimodal:
            raise UserError(
                f"--balance {type(self.balance).__name__}: expected --model.unimodal "
                f"{' or '.join(self.balance.unimodal)}, got {self.model.unimodal}"
            )
        if unknown := sorted(set(self.balance.modalities) - set(self.model.encoders)):
            raise UserError(
                f"--balance.weights: unknown modalities {unknown}; choose from "
                f"{sorted(self.model.encoders)}"
            )

    def _check_private(self) -> None:
        self.private.check()
        compute = self.compute
        for flag, wrong, why in (
            ("--balance", self.balance != JOINT, "looks at the losses of the batch"),
            ("--teacher", self.teacher is not None, "what it learned of examples has no noise"),
            ("--accumulate", compute.accumulate > 1, "--private.microbatch saves memory here"),
            ("--fsdp", compute.fsdp > 1, "was not checked with private training"),
            ("--buckets", compute.buckets > 1, "tells the lengths of the batch's texts"),
        ):
            if wrong:
                raise UserError(f"{flag}: not in private training: {why}")

    def _check_objectives(self) -> None:
        if not self.objectives:
            raise UserError("objectives: expected at least one")
        for name, objective in self.objectives.items():
            if "/" in name or name == "auxiliary":
                raise UserError(
                    f"objectives: {name!r}: this name is ambiguous in the log; choose another"
                )
            if objective.output not in self.model.outputs:
                raise UserError(
                    f"objectives.{name}: the model has no head {objective.output!r}; choose "
                    f"--objectives.{name}.output from {', '.join(self.model.outputs)}"
                )
        if all(isinstance(one, Taught) for one in self.objectives.values()):
            raise UserError(
                f"objectives: {', '.join(self.objectives)} compare with a teacher, which is there "
                "in training alone: add one with a target of the data, by which validations judge "
                "the model; with weight 0 it changes nothing"
            )

    def update(self) -> optax.GradientTransformation:
        """The optimiser for this model and number of steps."""
        probes = self.model.probe_prefix if self.model.unimodal == "probe" else None
        return self.optim.chain(self.steps, self.model.frozen_paths, probes)

    def total_loss(self, means: Mapping[MetricName, float]) -> float:
        """The weighted sum of the objectives' losses, without losses of modules and balances."""
        return sum(o.weight * means[MetricName(n, "loss")] for n, o in self.objectives.items())
