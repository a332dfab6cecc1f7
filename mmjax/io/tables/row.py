"""What the readers of tables deliver: cells by column, or the error of one row."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

from mmjax.errors import UserError

Cell = Any
"""None (missing), str, bool, int, float, bytes, list, dict or np.ndarray."""

CELL_BYTES = 200_000_000  # of one picture, sound or array


class RowError(UserError):
    """An error in one row; the text is "path:place: reason".

    `place` is a number counted from 1 (the line of a text file, the row of arrays and Parquet), or
    a name (an example of a shard, a file of a folder).
    """

    def __init__(self, path: str | os.PathLike[str], place: int | str, reason: str) -> None:
        super().__init__(f"{path}:{place}: {reason}")
        self.path = path
        self.place = place
        self.reason = reason

    def __reduce__(self) -> tuple:
        return RowError, (self.path, self.place, self.reason)


Rows = Iterator[tuple[int | str, dict[str, Cell] | RowError]]


@dataclass(frozen=True)
class Format:
    """How a text file is written. Other kinds of files say it themselves."""

    separator: str | None = None  # of CSV; None: found from the header
    encoding: str = "utf-8"  # a byte-order mark takes precedence


PLAIN = Format()


class Header(NamedTuple):
    """The names of the columns of a file, as written: some may be empty or repeated."""

    names: list[str]
    remark: str = ""  # why a column may be absent; appended to that error


@runtime_checkable
class Kind(Protocol):
    """A module that reads one kind of file."""

    def columns(self, path: str | os.PathLike[str], format: Format) -> Header:
        """The header; cheap."""
        ...

    def rows(self, path: str | os.PathLike[str], format: Format) -> Rows:
        """All rows, in bounded memory."""
        ...
