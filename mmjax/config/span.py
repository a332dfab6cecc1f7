"""Some steps of a training, as a command line names them: 10:20."""

import re
from typing import NamedTuple

from mmjax.errors import UserError


class Span(NamedTuple):
    """The steps from `first` to `last`, both of them too; step 1 is the first of a training."""

    first: int
    last: int

    @classmethod
    def parse(cls, text: str) -> "Span":
        """Of "10:20"; UserError for any other thing."""
        found = re.fullmatch(r"(\d{1,18}):(\d{1,18})", text)
        span = cls(*map(int, found.groups())) if found else None
        if span is None or not 1 <= span.first <= span.last:
            raise UserError(
                f"--profile: expected the first and the last step, such as 10:20, got {text!r:.60}"
            )
        return span

    def __str__(self) -> str:
        return f"{self.first}:{self.last}"
