"""All that can go wrong, many times, in one table: `python tests/faults/campaign.py`.

Two to three hours on two cores. `--only kills damage` runs parts of it, `--fast` a few of each;
`--markdown FILE` writes the table that README shows. Fuzzing has a command of its own, `fuzz.py`.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import tyro
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[2]))  # so that the command needs no PYTHONPATH

from mmjax.data.datasets import DigitsMatch
from tests.faults.controls import controls
from tests.faults.damage import damage
from tests.faults.disk import disks
from tests.faults.endurance import endure
from tests.faults.guard import guard
from tests.faults.hardware import hardware
from tests.faults.hostile import hostile
from tests.faults.kills import impatient, kills, stops, trainee
from tests.faults.processes import processes, two_runs
from tests.faults.row import Row

Part = Literal[
    "kills", "controls", "stops", "damage", "disk", "hardware", "processes", "guard", "hostile",
    "endurance",
]  # fmt: skip


def _kills(data_dir: str, fast: bool) -> Iterator[Row]:
    for way, count in (
        ("pmap, 2 devices", 25),
        ("jit, 2 devices", 25),
        ("pmap, 5 steps a call", 10),
        ("jit, 2 parts a batch", 10),
        ("pmap, 8 devices", 20),
        ("jit, 2 data workers", 20),
        ("pmap, 2 processes", 20),
    ):
        yield kills(way, 1 if fast else count, data_dir)


def _stops(data_dir: str, fast: bool) -> Iterator[Row]:
    yield stops(2 if fast else 10, data_dir)
    yield impatient(1 if fast else 5, data_dir)
    yield two_runs(1 if fast else 3, data_dir)


def _damage(data_dir: str, fast: bool) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder:
        run = trainee("jit, 2 devices", Path(folder) / "run", data_dir)
        run.flags += ("--keep", "3")
        run.finish()
        yield damage(run.run, 25 if fast else 200)


PARTS: dict[str, Callable[[str, bool], Iterator[Row]]] = {
    "kills": _kills,
    "controls": lambda data_dir, fast: iter([controls(data_dir)]),
    "stops": _stops,
    "damage": _damage,
    "disk": lambda data_dir, fast: iter(disks(1 if fast else 3, data_dir)),
    "hardware": lambda data_dir, fast: iter(hardware(data_dir)),
    "processes": lambda data_dir, fast: iter(processes(1 if fast else 5, data_dir)),
    "guard": lambda data_dir, fast: iter([guard(data_dir, 20 if fast else 60)]),
    "hostile": lambda data_dir, fast: iter([hostile(200 if fast else 2000)]),
    "endurance": lambda data_dir, fast: iter([endure(data_dir, 2_000 if fast else 200_000)]),
}


def main(only: tuple[Part, ...] = (), /, fast: bool = False, markdown: Path | None = None) -> None:
    """Run the campaign and print its table; exit code 1 where anything went wrong.

    Args:
        only: parts of it; all by default
        fast: a few of each, in some 20 minutes
        markdown: a file for the table
    """
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as data_dir:
        DigitsMatch(data_dir=data_dir).prepare()
        for name in only or tuple(PARTS):
            began = time.monotonic()
            for row in PARTS[name](data_dir, fast):
                rows.append(row)
                print(f"[{time.monotonic() - began:6.0f} s] {row}", file=sys.stderr, flush=True)
    table = Table("fault", "as it must be", "remark")
    for row in rows:
        table.add_row(row.fault, f"{row.right} of {row.tried}", row.remark)
    Console().print(table)
    if markdown is not None:
        lines = [f"| {r.fault} | {r.right} of {r.tried} | {r.remark} |" for r in rows]
        head = ["| fault | as it must be | remark |", "|---|---|---|"]
        markdown.write_text("\n".join([*head, *lines]) + "\n", encoding="utf-8")
    sys.exit(any(row.right < row.tried for row in rows))


if __name__ == "__main__":
    tyro.cli(main)
