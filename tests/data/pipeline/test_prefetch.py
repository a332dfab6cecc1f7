"""Batches from worker processes: the same, in order, and no process outlives its parent."""

import dataclasses
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from typing import Any, cast

import numpy as np
import pytest

from mmjax.data.pipeline import parcels
from mmjax.data.pipeline.prefetch import prefetch


@dataclasses.dataclass(frozen=True)
class Make:
    """In place of a batch: who made it, or an array of this size too."""

    deadly: int = -1
    size: int = 0

    def __call__(self, step) -> Any:
        if step == self.deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        array = {"odd": np.ones(1, np.int8), "large": np.full(self.size, step, np.float32)}
        return (step, os.getpid(), array) if self.size else (step, os.getpid())


def test_two_workers_give_every_step_once_and_in_order():
    found = cast(Any, list(prefetch(Make(), range(20), workers=2)))
    assert [step for step, _ in found] == list(range(20))
    makers = {pid for _, pid in found}
    assert os.getpid() not in makers and len(makers) <= 2
    assert gone(makers)


def test_threads_work_at_once_and_give_every_step_in_order():
    together = threading.Barrier(3, timeout=20)

    def make(step):
        together.wait()
        return step

    assert list(prefetch(make, range(9), threads=3)) == list(range(9))


TOGETHER = threading.Barrier(2, timeout=20)  # of each process


def meet(step):
    TOGETHER.wait()
    return step, os.getpid()


@pytest.mark.parametrize("workers", [1, 2])
def test_the_threads_of_workers_work_at_once(workers):
    found = list(prefetch(meet, range(8), workers=workers, threads=3 * workers - 1))
    assert [step for step, _ in found] == list(range(8))
    assert os.getpid() not in {pid for _, pid in found}


@pytest.mark.parametrize("full", [False, True])
def test_large_arrays_come_whole_and_leave_no_file(tmp_path, monkeypatch, full):
    place = tmp_path / "place"
    if not full:  # into a folder that is not there nothing can be written, as into a full one
        place.mkdir()
    monkeypatch.setattr(parcels, "folder", lambda: str(place))
    found = cast(Any, prefetch(Make(size=200_001), range(20), workers=2))
    makers, held, used = set(), [], 0
    for step, (number, pid, arrays) in enumerate(found):
        assert number == step and arrays["odd"].tolist() == [1]
        arrays["large"] += 1  # as arrays of a thread may be changed
        held.append(arrays["large"])
        makers.add(pid)
        used = max(used, len([*place.glob("*")]))
    assert all(np.all(array == step + 1) for step, array in enumerate(held))
    assert used == 0 if full else 0 < used < 10  # what was taken is deleted
    assert gone(makers) and not place.exists()


def test_a_worker_that_dies_is_an_error_and_leaves_no_file(tmp_path, monkeypatch):
    place = tmp_path / "place"
    place.mkdir()
    monkeypatch.setattr(parcels, "folder", lambda: str(place))
    with pytest.raises(OSError, match=r"a data worker died.*--workers"):
        list(prefetch(Make(deadly=3, size=200_001), range(20), workers=1))
    assert not place.exists()


def test_a_worker_ignores_the_ctrl_c_of_its_terminal():
    batches = cast(Any, prefetch(Make(), range(100), workers=1))
    _, pid = next(batches)
    os.kill(pid, signal.SIGINT)
    assert [step for step, _ in batches] == list(range(1, 100))


def test_no_worker_outlives_a_parent_that_was_killed(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(
        textwrap.dedent(
            """
            import os, sys, time
            from mmjax.data.pipeline import parcels
            from mmjax.data.pipeline.prefetch import prefetch
            from tests.data.pipeline.test_prefetch import Make

            if __name__ == "__main__":
                os.mkdir(sys.argv[1])
                parcels.folder = lambda: sys.argv[1]
                batches = prefetch(Make(size=20_000), range(10**6), workers=2)
                print(*{next(batches)[1] for _ in range(60)}, flush=True)
                time.sleep(600)
            """
        )
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([os.getcwd(), *sys.path])}
    place = tmp_path / "place"
    with subprocess.Popen(
        [sys.executable, script, place], stdout=subprocess.PIPE, text=True, env=environment
    ) as parent:
        workers = [int(pid) for pid in parent.stdout.readline().split()]
        assert workers and not gone(workers, within=0) and any(place.iterdir())
        parent.kill()
    assert gone(workers) and not place.exists()


def gone(pids, within=5.0):
    """Whether none of these processes is left, at the latest after so many seconds."""
    deadline = time.monotonic() + within
    while any(alive(pid) for pid in pids):
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.05)
    return True


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_a_training_batch_is_the_same_wherever_it_is_made(digits_dir, monkeypatch):
    from mmjax.data.datasets import DigitsMatch
    from mmjax.data.pipeline.batches import train_batches

    data = DigitsMatch(data_dir=digits_dir)
    source, preprocessing = data.source("train"), data.preprocessing()

    def first(**options):
        batches = train_batches(
            data, source, preprocessing, batch_size=8, seed=1, start=5, **options
        )
        found = [next(batches) for _ in range(3)]
        batches.close()
        return found

    expected = first()
    monkeypatch.setattr(type(source), "threads", 3)
    for batch, other in zip(2 * expected, [*first(workers=2), *first()], strict=True):
        np.testing.assert_array_equal(batch.ids, other.ids)
        np.testing.assert_array_equal(batch.inputs["image"].values, other.inputs["image"].values)
        np.testing.assert_array_equal(batch.inputs["text"].values, other.inputs["text"].values)
    halves = [first(share=(part, 2)) for part in (0, 1)]
    for batch, left, right in zip(expected, *halves, strict=True):
        for name in ("image", "text"):
            joined = np.concatenate([x.inputs[name].values for x in (left, right)])
            np.testing.assert_array_equal(joined, batch.inputs[name].values)
        np.testing.assert_array_equal(np.concatenate([left.ids, right.ids]), batch.ids)


def test_an_iterator_that_nobody_closed_ends_with_python_without_a_word():
    code = (
        "from mmjax.data.pipeline.prefetch import prefetch\n"
        "batches = prefetch(lambda step: step, range(99))\n"
        "print(next(batches))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "0\n" and done.stderr == ""
