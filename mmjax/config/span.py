"""A range of training steps, as on a command line: 10:20."""

import re
from typing import NamedTuple

from mmjax.errors import UserError


class Span(NamedTuple):
    """The steps from `first` to `last`, inclusive; step 1 is the first of a training."""

    first: int
    last: int

    @classmethod
    def parse(cls, text: str) -> "Span":
        """The span of a text such as "10:20"; UserError if it is not one."""
        match = re.fullmatch(r"(\d{1,18}):(\d{1,18})", text)
        span = cls(*map(int, match.groups())) if match else None
        if span is None or not 1 <= span.first <= span.last:
            raise UserError(
                f"--profile: expected the first and the last step, such as 10:20, got {text!r:.60}"
            )
        return span

    def __str__(self) -> str:
        return f"{self.first}:{self.last}"
