"""The answers of people: read from CSV files, compared, and settled to one answer a row."""

import csv
import dataclasses
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from mmjax.errors import UserError
from mmjax.io import json_file
from mmjax.io.tables import RowError, read_rows

FIELDS = ("row", "mark", "answer", "by")


@dataclasses.dataclass(frozen=True)
class Answer:
    """What somebody said of a row of the table."""

    row: str  # its place
    mark: str  # a hash of its values
    answer: str  # the name of a class
    by: str  # who


@dataclasses.dataclass(frozen=True)
class Settled:
    """One answer for each row on which people agree, and the rows on which they do not."""

    answers: Sequence[Answer]
    differing: Mapping[str, Mapping[str, str]]  # {row: {person: answer}}; not in `answers`
    shared: int  # rows that several people answered
    overruled: int  # differing rows that were settled by the preferred person


def read(path: Path, names: Sequence[str] | None = None) -> list[Answer]:
    """The answers of a CSV file that the page or the terminal saved; empty ones are left out.

    Without a name in the column `by` the file's name stands for the person. `names`: the classes;
    None: any answer.

    Raises:
        UserError: no such file, no such column, or an answer that is no class; names the row.
    """
    found = []
    for line, cells in read_rows(path, required=("row", "mark", "answer")):
        if isinstance(cells, RowError):
            raise cells
        texts = {name: str(cells.get(name) or "").strip() for name in FIELDS}
        if not texts["answer"]:
            continue
        if names is not None and texts["answer"] not in names:
            choices = ", ".join(names[:20]) + (" ..." if len(names) > 20 else "")
            got = texts["answer"]
            raise RowError(path, line, f"answer: got {got!r:.60}, choose from {choices}")
        found.append(Answer(**texts | {"by": texts["by"] or path.stem}))
    return found


def settle(answers: Sequence[Answer], prefer: str | None = None) -> Settled:
    """Compare the answers of all people; of one person the last answer to a row counts.

    Args:
        answers: in the order in which they were given
        prefer: the person who is right where people differ; None: such rows are left out

    Raises:
        UserError: no answer is by that person, or a row had other values for somebody.
    """
    people = sorted({one.by for one in answers})
    if prefer is not None and prefer not in people:
        raise UserError(f"--prefer {prefer}: choose from {', '.join(people) or 'nobody'}")
    by_row: dict[str, dict[str, Answer]] = {}
    for one in answers:
        by_row.setdefault(one.row, {})[one.by] = one
    settled, differing, overruled = [], {}, 0
    for row, own in by_row.items():
        if len({one.mark for one in own.values()}) > 1:
            raise UserError(
                f"row {row}: {', '.join(sorted(own))} have answered different values of it: the "
                "table has changed between their pages"
            )
        if len({one.answer for one in own.values()}) == 1:
            settled.append(next(iter(own.values())))
        elif prefer in own:
            settled.append(own[prefer])
            overruled += 1
        else:
            differing[row] = {by: one.answer for by, one in sorted(own.items())}
    shared = sum(len(own) > 1 for own in by_row.values())
    return Settled(settled, differing, shared, overruled)


def write(path: Path, answers: Sequence[Answer]) -> None:
    """Write a CSV file, atomically."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(FIELDS)
    writer.writerows(dataclasses.astuple(one) for one in answers)
    json_file.write_text(path, text.getvalue())
