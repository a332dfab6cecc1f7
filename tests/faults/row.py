"""A line of the campaign's table."""

from typing import NamedTuple


class Row(NamedTuple):
    """What was done so many times, and how often it went as it must."""

    fault: str
    tried: int
    right: int
    remark: str = ""
