"""Knowledge distillation from a teacher's outputs: Hinton et al. 2015, arXiv:1503.02531."""

import abc
import dataclasses
from collections.abc import Mapping
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from mmjax.errors import UserError
from mmjax.objectives.objective import Objective, mean_of
from mmjax.types import Batch, Outputs, WeightedMean

TEACHER = "teacher_"  # and the name of a head: the target that is the teacher's output
EMBEDDING = "teacher_embedding"


@dataclasses.dataclass(frozen=True)
class Taught(Objective):
    """An objective whose target is made by a teacher (`Experiment.teacher`) in training.

    The training loop adds the teacher's heads as the targets `teacher_<head>` and its embeddings,
    side by side in alphabetical order of the modalities, as `teacher_embedding`. Elsewhere they
    are missing, and an evaluation reports no value.
    """

    @abc.abstractmethod
    def compare(self, output: Array, target: Array, weight: Array) -> dict[str, WeightedMean]:
        """The `loss` and other quantities; the weight is 0 where an example does not count."""

    def __call__(self, outputs: Outputs, batch: Batch) -> dict[str, WeightedMean]:
        """The quantities of `compare`. UserError where the shapes do not fit."""
        output = outputs.values[self.output].astype(jnp.float32)
        given = batch.targets.get(self.target or "")
        if given is None:
            return {"loss": WeightedMean(jnp.zeros(()), jnp.zeros(()))}
        target = jnp.asarray(given.values, jnp.float32)
        self.require_comparable(output, target)
        weight = jnp.where(jnp.asarray(given.mask), jnp.asarray(batch.weight), 0.0)
        counts = jnp.reshape(weight > 0, (-1,) + (1,) * (output.ndim - 1))
        return self.compare(
            jnp.where(counts, output, jnp.zeros_like(output)),
            jnp.where(jnp.reshape(counts, (-1,) + (1,) * (target.ndim - 1)), target, 0.0),
            weight,
        )

    def require_comparable(self, output: Array, target: Array) -> None:
        """UserError unless output and target have the same shape."""
        if output.shape != target.shape:
            raise UserError(
                f"head {self.output!r} gives {output.shape} and the teacher's {self.target!r} is "
                f"{target.shape}: they must have the same shape"
            )

    def record(self, outputs: Outputs, batch: Batch) -> dict[str, Array]:
        """Nothing."""
        return {}

    def metrics(self, records: Mapping[str, np.ndarray], kind: Any) -> dict[str, float]:
        """None."""
        return {}

    def predictions(self, outputs: Outputs, kind: Any) -> list[dict[str, Any]]:
        """The head's values as lists."""
        values = np.asarray(outputs.values[self.output], np.float64)
        return [{"value": value.tolist()} for value in values]


@final
@dataclasses.dataclass(frozen=True)
class Distillation(Taught):
    """loss = T^2 KL(p(teacher / T) || p(student / T)) of logits.

    p is the softmax of logits `[batch, class]`, and the sigmoid of each logit `[batch]`. The factor
    T^2 keeps the gradient's size while T is changed.
    """

    temperature: float = 2.0  # T, above 0; higher: more is learned from the wrong classes

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.temperature > 0:
            raise UserError(f"temperature: expected more than 0, got {self.temperature}")

    def compare(self, output: Array, target: Array, weight: Array) -> dict[str, WeightedMean]:
        """`loss`, and `agreement`: how often both prefer the same answer."""
        if output.ndim == 1:
            zero = jnp.zeros_like(output)
            output, target = (jnp.stack([zero, x], axis=1) for x in (output, target))
        loss = self.temperature**2 * divergence(
            target / self.temperature, output / self.temperature
        )
        same = jnp.argmax(output, axis=-1) == jnp.argmax(target, axis=-1)
        return {"loss": mean_of(weight, loss), "agreement": mean_of(weight, same)}


def divergence(
    teacher: Float[Array, "batch class"], student: Float[Array, "batch class"]
) -> Float[Array, "batch"]:
    """KL(softmax(teacher) || softmax(student)), 0 or more, in nats."""
    log_p, log_q = jax.nn.log_softmax(teacher), jax.nn.log_softmax(student)
    return jnp.sum(jnp.exp(log_p) * (log_p - log_q), axis=-1)


@final
@dataclasses.dataclass(frozen=True)
class FeatureDistillation(Taught):
    """loss = mean of (output - teacher's)^2 over all features.

    FitNets: Romero et al. 2015, arXiv:1412.6550. The head is the regressor of the paper: `classes`
    with as many outputs as the teacher's embedding has numbers. It also distils numbers.
    """

    def compare(self, output: Array, target: Array, weight: Array) -> dict[str, WeightedMean]:
        """`loss`."""
        error = jnp.square(output - target)
        return {"loss": mean_of(weight, jnp.mean(jnp.reshape(error, (error.shape[0], -1)), axis=1))}
