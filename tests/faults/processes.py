"""Of two processes one dies, raises, hangs or never comes; and two trainings in one folder."""

import dataclasses
import random
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from mmjax.devices.processes import HEARTBEAT
from tests.faults.kills import trainee
from tests.faults.row import Row
from tests.faults.trainee import Trainee, outcome, same

WAY = "pmap, 2 processes"
TIMEOUT = 10  # seconds that these processes wait for each other
SLACK = 10  # of a busy machine
FAULTS = ("killed", "raises", "sleeps", "never starts")


def processes(count: int, data_dir: str, seed: int = 0) -> list[Row]:
    """`count` of each fault: the other process ends in time, both restarted go on exactly."""
    draw, rows = random.Random(seed), []
    with tempfile.TemporaryDirectory() as folder:
        straight = trainee(WAY, Path(folder) / "straight", data_dir)
        straight.finish()
        expected = outcome(straight.run)
        for fault in FAULTS:
            right, longest = 0, 0.0
            for number in range(count):
                broken = trainee(WAY, Path(folder) / f"{fault} {number}", data_dir)
                broken.timeout = TIMEOUT
                seconds, error = _break(broken, fault, draw.randrange(2), draw.randrange(2, 55))
                trainee(WAY, broken.run, data_dir).finish()
                limit = max(TIMEOUT, HEARTBEAT) + SLACK
                clear = "error" in error and "hung" not in error
                right += clear and seconds < limit and same(outcome(broken.run), expected)
                longest = max(longest, seconds)
            remark = f"the other ended after {longest:.0f} s at most (--timeout {TIMEOUT})"
            rows.append(Row(f"of 2 processes one {fault}", count, right, remark))
    return rows


def _break(broken: Trainee, fault: str, which: int, step: int) -> tuple[float, str]:
    """Seconds from the fault to the end of the other process, and what it said."""
    if fault == "never starts":
        # Without process 0 there is nobody to meet; without process 1 nobody comes.
        broken.start(only=(1 - which,))
        ((code, _, err),) = broken.end()
        assert code
        # Not counted: the time that it takes to import what it needs.
        return max(broken.seconds() - SLACK, 0.0), err
    kind = {"raises": "raise", "sleeps": "sleep"}.get(fault)
    if kind is not None:
        environment = {"FAULT": kind, "FAULT_ONLY": str(which), "FAULT_STEP": str(step)}
        environment |= {"FAULT_MARK": str(_mark(broken))}
        broken = dataclasses.replace(
            broken,
            script="tests/faults/faulty.py",
            environment=broken.environment | environment,
        )
    broken.start()
    other = broken.all[1 - which]
    if fault == "sleeps":
        return _slept(broken, which)
    if fault == "killed":
        broken.wait_for(logged=5 * (1 + step // 10), saved=10) if step > 10 else None
        broken.all[which].kill()
    broken.all[which].wait(timeout=240)
    began = broken.seconds()
    _, err = other.communicate(timeout=240)
    assert other.returncode
    broken.all[which].communicate()
    return broken.seconds() - began, err


def _mark(broken: Trainee) -> Path:
    """A file that appears when a process falls asleep."""
    return broken.run.with_suffix(".asleep")


def _slept(broken: Trainee, which: int) -> tuple[float, str]:
    """The sleeper's own end is not waited for: it may never see that it is alone."""
    while not _mark(broken).exists() and broken.seconds() < 240:
        time.sleep(0.05)
    began = broken.seconds()
    try:
        _, err = broken.all[1 - which].communicate(timeout=240)
    except subprocess.TimeoutExpired:
        err = "hung"
    seconds = broken.seconds() - began
    broken.kill()
    for process in broken.all:
        process.communicate()
    return seconds, err


def two_runs(count: int, data_dir: str) -> Row:
    """The second in a folder is refused by the name of the first, which goes on undisturbed."""
    way, right = "pmap, 2 devices", 0
    with tempfile.TemporaryDirectory() as folder:
        straight = trainee(way, Path(folder) / "straight", data_dir)
        straight.finish()
        for number in range(count):
            first = trainee(way, Path(folder) / str(number), data_dir).start()
            first.wait_for(logged=5, saved=10)
            first.process.send_signal(signal.SIGSTOP)
            ((code, _, err),) = trainee(way, first.run, data_dir).start().end()
            first.process.send_signal(signal.SIGCONT)
            refused = code == 1 and f"process {first.process.pid} on " in err
            ((code, _, err),) = first.end()
            right += refused and code == 0 and same(outcome(first.run), outcome(straight.run))
    return Row("two runs in one folder", count, right)
