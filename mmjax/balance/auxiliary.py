"""Unimodal auxiliary losses (studied by Wang et al. 2020, arXiv:1905.12681)."""

import dataclasses
from typing import final

from mmjax.balance.balance import Balance, require_positive


@final
@dataclasses.dataclass(frozen=True)
class Auxiliary(Balance):
    """loss = joint loss + unimodal_weight * sum of the losses of each modality's own head."""

    unimodal_weight: float = 1.0  # weight of each unimodal loss; the joint loss has 1

    unimodal = ("train",)

    def __post_init__(self) -> None:
        require_positive(self, "unimodal_weight", zero=True)

    def weight(self, modality: str | None) -> float:
        return 1.0 if modality is None else self.unimodal_weight
