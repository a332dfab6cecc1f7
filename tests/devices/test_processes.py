"""Two processes of one device each: as one process with two devices, and neither outlives a fault.

How often that goes well is for `tests/faults/campaign.py` to say.
"""

import contextlib
import dataclasses
import itertools
import json
import os
import subprocess
import sys
import time
from collections import Counter

import jax
import numpy as np
import pytest

from mmjax.config.processes import Processes
from mmjax.data.datasets import DigitsMatch
from mmjax.data.pipeline.batches import train_batches
from mmjax.devices import processes
from mmjax.devices.watchdog import Watchdog
from tests.faults.trainee import ROOT, STEPS, Trainee, fast, free_port, outcome, same

HANG = (
    "import time; from mmjax.devices.watchdog import Watchdog\n"
    "with Watchdog(0.3) as dog:\n"
    "    with dog.waiting('nothing'): time.sleep(0.1)\n"
    "    time.sleep(0.5)\n"
    "    with dog.waiting('step 7'): time.sleep(60)"
)
EVALUATE = (
    "import json, pathlib, sys; from mmjax.evaluation.evaluate import evaluate\n"
    "print(json.dumps(evaluate(pathlib.Path(sys.argv[1]))))"
)
GATHER = (
    "import sys; import numpy as np; from mmjax.config.processes import Processes\n"
    "from mmjax.devices import processes\n"
    "me = int(sys.argv[2])\n"
    "processes.start(Processes(True, f'localhost:{sys.argv[1]}', 2, me))\n"
    "found = [] if me else [{'x': np.full((3, 2), 1 / 3), 'i': np.int64(2**40)}]\n"
    "((one,), none), again = processes.gathered(found), processes.gathered(me)\n"
    "assert none == [] and again == [0, 1] and one['i'] == 2**40\n"
    "assert one['x'].dtype == np.float64 and (one['x'] == 1 / 3).all(), one\n"
)


def reads(folder, process):
    """(positions of every training batch, {split's length: how often each position was evaluated})

    that a process of `counting.py` has read.
    """
    seen = json.loads((folder / f"{process}.json").read_text())
    evaluated = {}
    for length, train, positions in seen:
        if not train:
            evaluated.setdefault(length, Counter()).update(positions)
    return [positions for _, train, positions in seen if train], evaluated


def assert_each_reads_its_share(folder, data):
    """... of training batches of 16, and of 6 validations and a test."""
    source = data.source("train")
    evaluated = []
    for process in range(2):
        options = {"batch_size": 16, "seed": 0, "start": 0, "share": (process, 2)}
        with contextlib.closing(
            train_batches(data, source, data.preprocessing(), **options)
        ) as batches:
            ahead = [batch.ids.tolist() for batch in itertools.islice(batches, STEPS + 10)]
        trained, of_splits = reads(folder, process)
        assert all(len(batch) == 8 for batch in ahead)
        assert all(batch in ahead for batch in trained)
        assert all(batch in trained for batch in ahead[:STEPS])
        evaluated.append(of_splits)
    for split, times in (("validation", STEPS // 10), ("test", 1)):
        length = len(data.source(split))
        one, other = (of_splits[length] for of_splits in evaluated)
        assert one and other and not set(one) & set(other)
        assert one + other == Counter(dict.fromkeys(range(length), times))


@pytest.mark.slow
def test_two_processes_are_one_with_two_devices_and_go_on_when_one_was_killed(
    tmp_path_factory, digits_dir
):
    folder = tmp_path_factory.mktemp("processes")
    cache = str(folder / "compiled")

    def trainee(name, processes):
        devices = 2 // processes
        return Trainee(
            folder / name, digits_dir, ("--parallel", "pmap", "--buckets", "2"), processes,
            timeout=30, environment=fast(cache, devices),
        )  # fmt: skip

    one, two, killed = trainee("one", 1), trainee("two", 2), trainee("killed", 2)
    one.finish()
    counted = {**two.environment, "READS": str(folder)}
    two = dataclasses.replace(two, script="tests/faults/counting.py", environment=counted)
    two.finish()
    assert_each_reads_its_share(folder, DigitsMatch(digits_dir))
    arrays, *others = outcome(two.run)
    expected, *_ = outcome(one.run)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), arrays, expected)
    alone = subprocess.run(
        [sys.executable, "-c", EVALUATE, str(two.run)],
        env=os.environ | fast(cache, 1), cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert json.loads(alone.stdout) == others[-1]  # to the last digit
    killed.start().wait_for(logged=35, saved=20)
    killed.all[1].kill()
    began = time.monotonic()
    (code, _, err), _ = killed.end()
    assert code not in (0, None) and "another" in err and time.monotonic() - began < 30
    killed.finish()
    assert same(outcome(killed.run), (arrays, *others))


def test_what_processes_have_found_comes_to_all_as_it_was_whatever_its_shapes():
    port = str(free_port())
    command = [sys.executable, "-c", GATHER, port]
    environment = os.environ | {"XLA_FLAGS": ""}
    both = [
        subprocess.Popen([*command, str(me)], cwd=ROOT, env=environment, stderr=subprocess.PIPE)
        for me in range(2)
    ]
    for process in both:
        _, err = process.communicate(timeout=100)
        assert process.returncode == 0, err.decode()


def test_who_waits_too_long_ends_and_says_for_what():
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", HANG], capture_output=True, text=True, cwd=ROOT, timeout=60
    )
    assert done.returncode == 1 and time.monotonic() - began < 50
    assert "waited 0 s (--timeout) for step 7: another process hangs" in done.stderr


def test_without_a_limit_nobody_watches():
    with Watchdog(None) as watchdog, watchdog.waiting("nothing"):
        pass


def test_who_is_alone_waits_for_the_others_no_longer_than_the_limit(tmp_path):
    alone = Trainee(tmp_path / "run", str(tmp_path), processes=2, timeout=1).start(only=(0,))
    ((code, _, err),) = alone.end(within=60)
    assert code == 1
    assert "waited 1 s (--timeout) for the others at localhost" in err


def test_a_single_process_starts_and_ends_as_ever(monkeypatch):
    monkeypatch.setattr(jax.distributed, "initialize", pytest.fail)
    processes.start(Processes())
    processes.barrier("nothing")
    processes.require_same(3)
    assert processes.gathered("mine") == ["mine"]
    processes.require_one_folder("token", lambda: pytest.fail("reads nothing"))
    for code in (0, 3):
        with pytest.raises(SystemExit) as ended:
            processes.leave(code)
        assert ended.value.code == code


def test_a_process_that_does_not_see_the_folder_of_the_first_is_refused(monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    monkeypatch.setattr(jax, "process_index", lambda: 1)
    monkeypatch.setattr(processes, "gathered", lambda mine: [mine, mine])
    processes.require_one_folder("token", lambda: "token")
    for found in (None, "another"):
        with pytest.raises(ValueError, match="process 1 does not see the folder"):
            processes.require_one_folder("token", lambda found=found: found)


def test_who_fails_beside_others_leaves_without_a_farewell(monkeypatch, capsys):
    codes = []
    monkeypatch.setattr(jax.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(os, "_exit", codes.append)
    with pytest.raises(SystemExit):  # reached here alone, where _exit returns
        processes._leave_with_traceback(KeyError, KeyError("x"), None)
    assert codes == [1] and "KeyError: 'x'" in capsys.readouterr().err


def test_a_process_that_read_another_checkpoint_than_the_first_is_refused(monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    monkeypatch.setattr(jax, "process_index", lambda: 1)
    monkeypatch.setattr(processes, "gathered", lambda mine: [20, mine])
    processes.require_same(20)
    with pytest.raises(ValueError, match="process 1 goes on from step 10, process 0 from 20"):
        processes.require_same(10)


def test_a_place_where_nobody_can_meet_is_named(monkeypatch):
    def taken(*arguments, **options):
        raise RuntimeError("Failed to add port\nmore")

    monkeypatch.setattr(jax.distributed, "initialize", taken)
    with pytest.raises(ConnectionError, match=r"cannot meet at here:1: Failed to add port$"):
        processes.start(Processes(True, "here:1", 2, 0))
