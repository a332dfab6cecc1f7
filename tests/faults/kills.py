"""SIGKILL at random moments, and the same command again: the same bits as if nothing had been."""

import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from mmjax.runs import checkpoint_reader, log
from tests.faults.row import Row
from tests.faults.trainee import STEPS, Trainee, fast, outcome, same, wait_until_gone

WAYS = {  # name: flags, processes, host devices
    "jit, 1 device": (("--parallel", "jit", "--devices", "1"), 1, 1),
    "pmap, 2 devices": (("--parallel", "pmap", "--devices", "2"), 1, 2),
    "jit, 2 devices": (("--parallel", "jit", "--devices", "2"), 1, 2),
    "pmap, 5 steps a call": (
        ("--parallel", "pmap", "--devices", "2", "--steps-per-call", "5"),
        1,
        2,
    ),
    "jit, 2 parts a batch": (("--parallel", "jit", "--devices", "2", "--accumulate", "2"), 1, 2),
    "pmap, 8 devices": (("--parallel", "pmap"), 1, 8),
    "jit, 2 data workers": (("--parallel", "jit", "--workers", "2"), 1, 1),
    "pmap, 2 processes": (("--parallel", "pmap"), 2, 1),
}


def trainee(way: str, run: Path, data_dir: str, cache: str | None = None) -> Trainee:
    """A training of one of `WAYS`; programs are compiled once for a whole campaign, or `cache`."""
    flags, processes, devices = WAYS[way]
    cache = str(Path(data_dir) / "compiled") if cache is None else cache
    return Trainee(run, data_dir, flags, processes, environment=fast(cache, devices))


MOMENTS = ("start and compilation", "steps", "saving", "evaluation", "final write")


def kills(way: str, count: int, data_dir: str, seed: int = 0) -> Row:
    """Each kill at a random moment of the five parts of a training in turn."""
    draw = random.Random(f"{way} {seed}")
    right, when = 0, Counter()
    with tempfile.TemporaryDirectory() as folder:
        # Its programs are compiled here, as those of whoever is killed at the start.
        straight = trainee(way, Path(folder) / "straight", data_dir, f"{folder}/none")
        straight.finish()
        seconds = straight.seconds()
        expected = outcome(straight.run)
        for number in range(count):
            moment = MOMENTS[number % len(MOMENTS)]
            cache = f"{folder}/none {number}" if number % len(MOMENTS) == 0 else None
            killed = trainee(way, Path(folder) / str(number), data_dir, cache).start()
            victim = killed.all[draw.randrange(len(killed.all))]
            _await(moment, killed, seconds, draw)
            alive = victim.poll() is None
            when[phase(killed.run) if alive else "had ended"] += 1
            victim.kill()
            killed.end(within=killed.timeout + 30)
            try:
                assert_no_half(killed.run)
                trainee(way, killed.run, data_dir).finish()
                right += same(outcome(killed.run), expected)
            except (AssertionError, ValueError) as error:
                print(f"{way}, {moment}: {error}", file=sys.stderr, flush=True)
            shutil.rmtree(killed.run, ignore_errors=True)
    said = ", ".join(f"{name} {n}" for name, n in when.most_common())
    return Row(f"SIGKILL: {way}", count, right, f"killed in: {said}")


def _await(moment: str, killed: Trainee, seconds: float, draw: random.Random) -> None:
    """Until a moment drawn from one part of the training has come, or the training has ended."""
    step = 10 * draw.randrange(1, STEPS // 10 + 1)
    deadline = time.monotonic() + 240
    if moment == "start and compilation":
        deadline = time.monotonic() + draw.uniform(0.05, 0.7) * seconds
    path, folder = killed.run / log.FILE, killed.run / checkpoint_reader.FOLDER

    def come() -> bool:
        text = path.read_text() if path.exists() else ""
        return {
            "start and compilation": False,
            "steps": f'"step": {step - 5}, "split": "train"' in text,
            "evaluation": f'"step": {step}, "split": "train"' in text,
            "saving": any(f"{step}.orbax" in entry.name for entry in folder.glob("*")),
            "final write": (folder / str(STEPS)).exists(),
        }[moment]

    while time.monotonic() < deadline and not come() and killed.process.poll() is None:
        time.sleep(0.001)
    if moment != "start and compilation":
        time.sleep(draw.uniform(0.0, 0.3 if moment == "final write" else 0.02))


def phase(run: Path) -> str:
    """What a run was doing, by what lies in its folder."""
    if not (run / log.FILE).exists():
        return "start and compilation"
    if any("tmp" in path.name for path in (run / checkpoint_reader.FOLDER).glob("*")):
        return "saving"
    steps = checkpoint_reader.steps(run)
    if steps and steps[-1] == STEPS:
        return "last evaluation and writing"
    return "steps" if steps else "first steps and compilation"


def assert_no_half(run: Path) -> None:
    """No checkpoint that bears its final name is a half one."""
    for step in checkpoint_reader.steps(run):
        checkpoint_reader.arrays(run, step, "variables")
        checkpoint_reader.arrays(run, step, "training")


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
            whole = checkpoint_reader.newest_whole(left.run)
            said = "stopped at once" in err or "and saved" in err  # the first was quick enough
            right += code == 130 and said and whole is not None and whole >= 10 and took < 10
            longest = max(longest, took)
    return Row("Ctrl-C twice", count, right, f"ended after {longest:.1f} s at most")
