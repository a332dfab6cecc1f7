"""Damaged copies of a finished run: what is restored is what was saved, or an error names the file.

`python tests/faults/campaign.py damage` damages 200 of them.
"""

import random
import shutil
import signal
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np

from mmjax.config import storage
from mmjax.data.preprocessing import Preprocessing
from mmjax.devices import parallel
from mmjax.models.train_state import TrainState
from mmjax.runs import checkpoint_reader, folder, log
from mmjax.runs.restore import restore
from tests.faults.row import Row

SECONDS = 30  # for one restoration


def _flip(path: Path, draw: random.Random) -> None:
    content = bytearray(path.read_bytes())
    for _ in range(draw.choice((1, 1, 1, 16))):
        if content:
            content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    path.write_bytes(bytes(content))


def _truncate(path: Path, draw: random.Random) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: draw.randrange(len(content) or 1)])


def _delete(path: Path, draw: random.Random) -> None:
    path.unlink()


def _empty(path: Path, draw: random.Random) -> None:
    path.write_bytes(b"")


def _swap(path: Path, draw: random.Random) -> None:
    """With the file of the same name of another step; with any other file where there is none."""
    run = next(parent for parent in path.parents if (parent / folder.CONFIG).exists())
    others = [other for other in _files(run) if other.name == path.name and other != path]
    other = draw.choice(others or [other for other in _files(run) if other != path])
    mine, theirs = path.read_bytes(), other.read_bytes()
    path.write_bytes(theirs)
    other.write_bytes(mine)


DAMAGES: dict[str, Callable[[Path, random.Random], None]] = {
    "flipped": _flip,
    "truncated": _truncate,
    "deleted": _delete,
    "emptied": _empty,
    "swapped": _swap,
}


def _files(run: Path) -> list[Path]:
    return sorted(path for path in run.rglob("*") if path.is_file())


class Truth:
    """What the undamaged run holds."""

    def __init__(self, run: Path) -> None:
        self.run = run
        self.experiment = storage.load(run / folder.CONFIG)
        self.preprocessing = Preprocessing.load(run)
        self.log = log.read(run / log.FILE)
        self.variables = {
            s: checkpoint_reader.arrays(run, s, "variables") for s in checkpoint_reader.steps(run)
        }
        sharding = parallel.place(parallel.mesh_of(1))
        like = _state(run)
        self.states = {
            s: checkpoint_reader.restore(run, s, like, sharding)[0]
            for s in checkpoint_reader.steps(run)
        }
        self.like, self.sharding = like, sharding


def _state(run: Path) -> TrainState:
    """The form of the run's state, as its program would make it."""
    from mmjax.data.pipeline.batches import train_batches
    from mmjax.models.train_state import create_state

    experiment = folder.require(run)
    source = experiment.data.source("train")
    batches = train_batches(
        experiment.data, source, Preprocessing.load(run),
        batch_size=experiment.batch_size, seed=0, start=0,
    )  # fmt: skip
    first = next(batches)
    batches.close()
    return create_state(experiment.model, experiment.update(), first, seed=0, ema=experiment.ema)


def damage(run: Path, count: int, seed: int = 0) -> Row:
    """Each copy has one damage in one file, of every kind of both in turn."""
    draw, truth, outcomes = random.Random(seed), Truth(run), Counter()
    wrong = []
    with tempfile.TemporaryDirectory() as parent:
        for number in range(count):
            copy = Path(parent) / str(number)
            shutil.copytree(run, copy)
            kinds = _kinds(copy)
            victim = draw.choice(kinds[sorted(kinds)[number % len(kinds)]])
            name = sorted(DAMAGES)[number // len(kinds) % len(DAMAGES)]
            DAMAGES[name](victim, draw)
            for what, check in (("evaluation", _evaluated), ("training", _trained)):
                found = _checked(check, copy, truth)
                outcomes[f"{what}: {found.split(':')[0]}"] += 1
                if found.startswith("WRONG"):
                    wrong.append(f"{name} {victim.relative_to(copy)}: {found}")
            shutil.rmtree(copy)
    said = ", ".join(f"{name} {n}" for name, n in sorted(outcomes.items()))
    failed = len({text.split(": WRONG")[0] for text in wrong})
    return Row("damaged copies", count, count - failed, said + "".join(f"\n  {w}" for w in wrong))


def _kinds(run: Path) -> dict[str, list[Path]]:
    """The files of a run by what they are for."""
    kinds: dict[str, list[Path]] = {}
    for path in _files(run):
        parts = path.relative_to(run).parts
        name = "/".join(
            "data" if len(part) == 32 else part for part in parts if not part.isdecimal()
        )
        if path.name not in (".lock", "curves.png") and "vocabulary." not in path.name:
            kinds.setdefault(name, []).append(path)
    return kinds


def _checked(check: Callable[[Path, Truth], str], run: Path, truth: Truth) -> str:
    def late(number: int, frame: object) -> None:
        raise AssertionError(f"took more than {SECONDS} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    try:
        return check(run, truth)
    except (ValueError, OSError) as error:
        named = str(run) in str(error)
        return "error that names the place" if named else f"WRONG: names nothing: {error!r:.300}"
    except Exception as error:
        return f"WRONG: {type(error).__name__}: {str(error)[:300]}"
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _equal(found: object, expected: object) -> bool:
    if jax.tree.structure(found) != jax.tree.structure(expected):
        return False
    return all(jax.tree.leaves(jax.tree.map(lambda a, b: np.array_equal(a, b), found, expected)))


def _evaluated(run: Path, truth: Truth) -> str:
    """What an evaluation restores: the newest checkpoint, or an error; nothing older unasked."""
    restored = restore(run)
    exact = (
        restored.model == truth.experiment.model
        and restored.preprocessing == truth.preprocessing
        and _equal(restored.variables, truth.variables[checkpoint_reader.steps(run)[-1]])
    )
    return "exactly what was saved" if exact else "WRONG: other values"


def _trained(run: Path, truth: Truth) -> str:
    """What a training goes on with: the newest whole checkpoint, and it says if that is older."""
    folder.check(run, truth.experiment)
    try:
        if Preprocessing.load(run) != truth.preprocessing:
            return "WRONG: other preprocessing"
    except FileNotFoundError:
        pass  # it is fitted anew, to the same
    said: list[str] = []
    found = checkpoint_reader.resumed(run, truth.like, truth.sharding, said.append)
    if found is None:
        return "WRONG: a new start"
    step, state, progress = found
    if not _equal(state, truth.states[step]):
        return "WRONG: other values"
    kept = [record for record in truth.log if record["step"] <= step]
    with log.Log(run, 10**9, start=step, mark=progress["log"], silent=True):
        pass
    text = log._kept(run / log.FILE, step, progress["log"])
    lines = [log._record(line.encode()) for line in text.splitlines()]
    if any(repr(line) not in map(repr, kept) for line in lines):
        return "WRONG: other records in the log"
    if step == max(truth.states):
        return "exactly what was saved"
    return "an older checkpoint, said so" if said else "WRONG: older in silence"
