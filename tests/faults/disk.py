"""A disk that is full, read-only, slow or gone while a training writes to it.

Needs to mount a small file system of its own (root, on Linux): elsewhere the rows say so.
"""

import contextlib
import dataclasses
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from mmjax.runs import checkpoint_reader
from tests.faults.kills import assert_no_half, trainee
from tests.faults.row import Row
from tests.faults.trainee import Trainee, outcome, same

WAY = "pmap, 2 devices"
MEGABYTES = 48  # holds some three checkpoints of the trainee


def mountable() -> bool:
    """Whether this process may mount."""
    with tempfile.TemporaryDirectory() as folder:
        done = _mount("-t", "tmpfs", "tmpfs", folder)
        if done:
            subprocess.run(["umount", folder], check=True)
        return done


def _mount(*arguments: str) -> bool:
    return subprocess.run(["mount", *arguments], capture_output=True, check=False).returncode == 0


@contextlib.contextmanager
def small_disk() -> Iterator[Path]:
    """A file system of a few megabytes, in memory."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "tmpfs", folder], check=True
        )
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", "-l", folder], check=True)


def fill(disk: Path) -> Path:
    """A file that leaves no byte free."""
    path = disk / "filler"
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)
    return path


def disks(count: int, data_dir: str, kinds: tuple[str, ...] = ()) -> list[Row]:
    """`count` times each kind; every run must go on, once there is room, to the same bits."""
    ills = {"full": _full, "read-only": _read_only, "gone": _gone, "slow": _slow}
    kinds = kinds or tuple(ills)
    if not mountable():
        return [Row(f"disk {kind}", 0, 0, "not tried: may not mount here") for kind in kinds]
    with tempfile.TemporaryDirectory() as folder:
        straight = trainee(WAY, Path(folder) / "straight", data_dir)
        straight.finish()
        expected = outcome(straight.run)
        rows = []
        for kind in kinds:
            right, said = 0, ""
            for _ in range(count):
                with small_disk() as disk:
                    sick = trainee(WAY, disk / "run", data_dir)
                    clear, said = ills[kind](sick, disk)
                    right += clear and same(outcome(sick.run), expected)
            rows.append(Row(f"disk {kind}", count, right, said))
        return rows


def _full(sick: Trainee, disk: Path) -> tuple[bool, str]:
    sick.start().wait_for(logged=20, saved=10)
    filler = fill(disk)
    clear, error = _ended(sick)
    filler.unlink()
    trainee(WAY, sick.run, sick.data_dir).finish()
    return clear, error


def _read_only(sick: Trainee, disk: Path) -> tuple[bool, str]:
    sick.start().wait_for(logged=20, saved=10)
    # With files open for writing the kernel refuses to remount; a bind of the folder may be.
    subprocess.run(["mount", "--bind", str(disk), str(disk)], check=True)
    sick.kill()
    sick.end()
    subprocess.run(["mount", "-o", "remount,bind,ro", str(disk)], check=True)
    clear, error = _ended(trainee(WAY, sick.run, sick.data_dir).start())
    subprocess.run(["umount", str(disk)], check=True)
    trainee(WAY, sick.run, sick.data_dir).finish()
    return clear, error


def _gone(sick: Trainee, disk: Path) -> tuple[bool, str]:
    """The run's folder disappears from under the process, as a network disk may."""
    sick.start().wait_for(logged=20, saved=10)
    shutil.move(sick.run / checkpoint_reader.FOLDER, disk / "elsewhere")
    (sick.run / checkpoint_reader.FOLDER).write_text("a stale handle")
    ((code, _, error),) = sick.end()
    (sick.run / checkpoint_reader.FOLDER).unlink()
    shutil.move(disk / "elsewhere", sick.run / checkpoint_reader.FOLDER)
    assert_no_half(sick.run)
    trainee(WAY, sick.run, sick.data_dir).finish()
    clear = code == 1 and "Traceback" not in error.rpartition("error: ")[2]
    return clear, _last(error)


def _slow(sick: Trainee, disk: Path) -> tuple[bool, str]:
    """Every checkpoint takes a second more than it should: the training waits, and is right."""
    slow = dataclasses.replace(
        sick, script="tests/faults/faulty.py", environment=sick.environment | {"FAULT": "slow"}
    )
    slow.finish()
    return True, f"{slow.seconds():.0f} s"


def _ended(sick: Trainee) -> tuple[bool, str]:
    """Whether it ended with a clear error, and left only whole checkpoints and a good one."""
    ((code, _, error),) = sick.end()
    assert_no_half(sick.run)
    good = checkpoint_reader.newest_whole(sick.run) is not None
    clear = code == 1 and "Traceback" not in error.rpartition("error: ")[2]
    return clear and good, _last(error)


def _last(error: str) -> str:
    found = [line for line in error.splitlines() if line.startswith("error: ")]
    text = found[-1] if found else error[-300:]
    return text.replace(tempfile.gettempdir(), "")[:150]
