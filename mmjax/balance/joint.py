"""Plain joint training."""

import dataclasses
from typing import final

from mmjax.balance.balance import Balance


@final
@dataclasses.dataclass(frozen=True)
class Joint(Balance):
    """loss = joint loss. Probing heads are trained too, without gradient to the encoders."""

    unimodal = ("none", "probe")


JOINT = Joint()
