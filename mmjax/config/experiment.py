"""An experiment: the real objects, frozen, in one place."""

import dataclasses
from collections.abc import Mapping

import optax

from mmjax.balance import JOINT, Balance
from mmjax.config.compute import Compute, require_positive
from mmjax.config.keeping import Keeping
from mmjax.data.dataset import Dataset, Place
from mmjax.errors import UserError
from mmjax.models.base import Model
from mmjax.objectives import Objective
from mmjax.optim import Optim
from mmjax.types import MetricName


@dataclasses.dataclass(frozen=True)
class Experiment:
    """One training, complete. All but `compute` and `keeping` is what a run is known by.

    Attributes:
        model: {modality: Masked} -> outputs
        objectives: what is minimised and reported, by a name of your choice
        data: what is read, and how it is prepared
        optim: the optimiser and its schedule
        steps: updates of the parameters
        balance: what keeps one modality from crowding out the others
        batch_size: examples per step, over all devices
        seed: of parameters, order, pairing, augmentation and dropout
        ema: decay of an average of the parameters over the steps, which is then what is evaluated
            (Polyak and Juditsky 1992); 0: none
        init: folder of a finished run whose variables the training begins with; none: fresh ones
        compute: how it is computed
        keeping: what is written down, and when
    """

    # Not comments beside the fields: tyro finds no comments of classes made at run time.
    model: Model
    objectives: Mapping[str, Objective]
    data: Dataset
    optim: Optim
    steps: int
    balance: Balance = JOINT
    batch_size: int = 128
    seed: int = 0
    ema: float = 0.0
    init: Place = None
    compute: Compute = dataclasses.field(default_factory=Compute)
    keeping: Keeping = dataclasses.field(default_factory=Keeping)

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size"):
            require_positive(name, getattr(self, name))
        if not 0 <= self.ema < 1:
            raise UserError(f"--ema: expected 0 or more and less than 1, got {self.ema}")
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

    def _check_objectives(self) -> None:
        if not self.objectives:
            raise UserError("objectives: expected at least one")
        for name, objective in self.objectives.items():
            if "/" in name or name == "auxiliary":
                raise UserError(f"objectives: {name!r} would be read as another's in the log")
            if objective.output not in self.model.outputs:
                raise UserError(
                    f"objectives.{name}: the model has no head {objective.output!r}; choose "
                    f"--objectives.{name}.output from {', '.join(self.model.outputs)}"
                )

    def update(self) -> optax.GradientTransformation:
        """The optimiser's update for these steps and this model."""
        probes = self.model.probe_prefix if self.model.unimodal == "probe" else None
        return self.optim.chain(self.steps, self.model.frozen_paths, probes)

    def total_loss(self, means: Mapping[MetricName, float]) -> float:
        """The objectives' losses by their weights, without what modules and balances add."""
        return sum(o.weight * means[MetricName(n, "loss")] for n, o in self.objectives.items())
