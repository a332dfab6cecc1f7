"""Plain joint training."""

import dataclasses
from typing import final

from mmjax.balance.balance import Balance


@final
@dataclasses.dataclass(frozen=True)
class Joint(Balance):
    """loss = the joint loss, and nothing else; heads that only probe learn beside it."""

    unimodal = ("none", "probe")

    def weight(self, modality: str | None) -> float:
        """1: a probe's loss reaches no encoder."""
        return 1.0


JOINT = Joint()
