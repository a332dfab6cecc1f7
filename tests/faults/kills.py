"""SIGKILL at random moments, and the same command again: the same bits as if nothing had been.

`python tests/faults/kills.py --count 50` prints a row for each way of training.
"""

import random
import shutil
import signal
import tempfile
from collections import Counter
from pathlib import Path

from mmjax.train import log, stored
from tests.faults.row import Row
from tests.faults.trainee import STEPS, Trainee, outcome, same, wait_until_gone

WAYS = {  # name: flags, processes, host devices
    "pmap, 2 devices": (("--parallel", "pmap", "--devices", "2"), 1, 2),
    "jit, 2 devices": (("--parallel", "jit", "--devices", "2"), 1, 2),
    "pmap, 8 devices": (("--parallel", "pmap"), 1, 8),
    "jit, 2 data workers": (("--parallel", "jit", "--workers", "2"), 1, 1),
    "pmap, 2 processes": (("--parallel", "pmap"), 2, 1),
}


def trainee(way: str, run: Path, data_dir: str) -> Trainee:
    """A training of one of `WAYS`."""
    flags, processes, devices = WAYS[way]
    environment = {"XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}"}
    return Trainee(run, data_dir, flags, processes, environment=environment)


def kills(way: str, count: int, data_dir: str, seed: int = 0) -> Row:
    """Each kill at a moment drawn from the whole time that an undisturbed run takes."""
    draw = random.Random(f"{way} {seed}")
    right, phases = 0, Counter()
    with tempfile.TemporaryDirectory() as folder:
        straight = trainee(way, Path(folder) / "straight", data_dir)
        straight.finish()
        seconds = straight.seconds()
        expected = outcome(straight.run)
        for number in range(count):
            killed = trainee(way, Path(folder) / str(number), data_dir).start()
            victim = killed.all[draw.randrange(len(killed.all))]
            try:
                victim.wait(timeout=draw.uniform(0.05, 1.0) * seconds)
            except Exception:  # the moment has come
                phases[phase(killed.run)] += 1
            else:
                phases["ended before"] += 1
            victim.kill()
            killed.end(within=killed.timeout + 30)
            if killed.processes == 1:
                assert_no_half(killed.run)
            trainee(way, killed.run, data_dir).finish()
            right += same(outcome(killed.run), expected)
            shutil.rmtree(killed.run)
    when = ", ".join(f"{name} {n}" for name, n in phases.most_common())
    return Row(f"SIGKILL: {way}", count, right, f"killed in: {when}")


def phase(run: Path) -> str:
    """What a run was doing, by what lies in its folder."""
    if not (run / log.FILE).exists():
        return "start and compilation"
    if any("tmp" in path.name for path in (run / stored.FOLDER).glob("*")):
        return "saving"
    steps = stored.steps(run)
    if steps and steps[-1] == STEPS:
        return "last evaluation and writing"
    return "steps" if steps else "first steps and compilation"


def assert_no_half(run: Path) -> None:
    """No checkpoint that bears its final name is a half one."""
    for step in stored.steps(run):
        stored.arrays(run, step, "variables")
        stored.arrays(run, step, "training")


def stops(count: int, data_dir: str, seed: int = 0) -> Row:
    """SIGTERM and Ctrl-C: saved, 128 + the signal, within 10 s; then on to the same bits."""
    draw, way, right, longest = random.Random(seed), "pmap, 2 devices", 0, 0.0
    with tempfile.TemporaryDirectory() as folder:
        straight = trainee(way, Path(folder) / "straight", data_dir)
        straight.finish()
        expected = outcome(straight.run)
        for number in range(count):
            stopped = trainee(way, Path(folder) / str(number), data_dir).start()
            stopped.wait_for(logged=draw.randrange(5, 50, 5), saved=10)
            which = (signal.SIGTERM, signal.SIGINT)[number % 2]
            took = wait_until_gone(stopped.process, which)
            ((code, _, err),) = stopped.end()
            saved = code == 128 + which and "and saved; run the same command again" in err
            trainee(way, stopped.run, data_dir).finish()
            right += saved and took < 10 and same(outcome(stopped.run), expected)
            longest = max(longest, took)
    return Row("SIGTERM, Ctrl-C", count, right, f"ended after {longest:.1f} s at most")


def impatient(count: int, data_dir: str) -> Row:
    """A second Ctrl-C leaves at once, and what was finished is not lost."""
    way, right, longest = "pmap, 2 devices", 0, 0.0
    with tempfile.TemporaryDirectory() as folder:
        for number in range(count):
            left = trainee(way, Path(folder) / str(number), data_dir).start()
            left.wait_for(logged=20, saved=10)
            left.process.send_signal(signal.SIGINT)
            took = wait_until_gone(left.process, signal.SIGINT)
            ((code, _, err),) = left.end()
            assert_no_half(left.run)
            whole = stored.newest_whole(left.run)
            said = "stopped at once" in err or "and saved" in err  # the first was quick enough
            right += code == 130 and said and whole is not None and whole >= 10 and took < 10
            longest = max(longest, took)
    return Row("Ctrl-C twice", count, right, f"ended after {longest:.1f} s at most")
