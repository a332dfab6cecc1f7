"""Gradient-Blending, Wang et al. 2020, arXiv:1905.12681."""

import dataclasses
from collections.abc import Mapping
from typing import final

import numpy as np

from mmjax.balance.balance import Balance
from mmjax.errors import UserError

Losses = Mapping[str | None, tuple[float, float]]
"""{modality: (training loss, validation loss)}; None: the joint losses."""


@final
@dataclasses.dataclass(frozen=True)
class Blend(Balance):
    """loss = w_joint * joint loss + sum_m w_m * loss of modality m's own head.

    The weights are fixed, the paper's offline form. The paper measures them in separate trainings;
    `blend_weights` computes them from one training with unimodal losses (`Auxiliary`).
    """

    joint: float = 1.0  # weight of the joint loss
    # Weight of each modality's own loss; 1 by default.
    weights: Mapping[str, float] = dataclasses.field(default_factory=dict)

    unimodal = ("train",)

    def __post_init__(self) -> None:
        for name, weight in {"joint": self.joint, **self.weights}.items():
            if not weight >= 0:
                raise UserError(f"--balance: expected a weight of 0 or more, got {name}={weight}")

    @property
    def modalities(self) -> tuple[str, ...]:
        return tuple(self.weights)

    def weight(self, modality: str | None) -> float:
        return self.joint if modality is None else self.weights.get(modality, 1.0)


def blend_weights(before: Losses, after: Losses) -> dict[str | None, float]:
    """Weights w_k proportional to dG_k / dO_k^2, with sum 1.

    dG_k is the fall of the validation loss from `before` to `after`, at least 0; dO_k the growth of
    the gap between validation and training loss.

    Raises:
        UserError: the modalities differ, a loss is not finite, or no validation loss fell.
    """
    if set(before) != set(after):
        raise UserError(f"expected the same modalities, got {[*before]} and {[*after]}")
    if not np.all(np.isfinite([*before.values(), *after.values()])):
        raise UserError(f"expected finite losses, got {before} and {after}")
    raw = {}
    for name in before:
        (train, validation), (train_after, validation_after) = before[name], after[name]
        gain = max(validation - validation_after, 0.0)
        overfitting = (validation_after - train_after) - (validation - train)
        # A gap that hardly grew must not give an infinite weight.
        raw[name] = gain / max(overfitting**2, 1e-4)
    total = sum(raw.values())
    if total == 0:
        raise UserError("no validation loss fell between the two measurements: train for longer")
    return {name: weight / total for name, weight in raw.items()}
