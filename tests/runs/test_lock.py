import errno
import fcntl
import json
import os
import subprocess
import sys

import pytest

from mmjax.runs import lock
from mmjax.runs.lock import Lock

HOLD = (
    "import sys, time; from pathlib import Path; from mmjax.runs.lock import Lock\n"
    "with Lock(Path(sys.argv[1]), print) as held: held.take(); print('held'); sys.stdin.read(1)"
)


@pytest.fixture
def holder(tmp_path):
    """A process that holds the lock of `tmp_path`."""
    with subprocess.Popen(
        [sys.executable, "-uc", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_training_is_refused_by_the_name_of_the_first(tmp_path, holder):
    with (
        pytest.raises(ValueError, match=rf"process {holder.pid} on .* trains here; wait for it"),
        Lock(tmp_path, print) as second,
    ):
        second.take()


def test_the_lock_of_a_dead_process_is_taken_over_and_it_says_so(tmp_path, holder):
    holder.kill()
    holder.wait()
    said = []
    with Lock(tmp_path, said.append) as second:
        second.take()
        assert lock.read(tmp_path)["pid"] == os.getpid()
    assert len(said) == 1 and f"process {holder.pid} on " in said[0]
    assert "ended without saying so: going on in its place" in said[0]


def test_a_lock_that_was_given_back_is_taken_in_silence(tmp_path, holder):
    holder.communicate("x")
    with Lock(tmp_path, pytest.fail) as second:
        second.take()
        second.take()
    assert lock.read(tmp_path) == {}


@pytest.mark.parametrize("content", ["", "{", "[]", json.dumps({"pid": 3})])
def test_whatever_the_file_holds_somebody_is_named(tmp_path, holder, content):
    (tmp_path / lock.LOCK).write_text(content)
    with pytest.raises(ValueError, match=r"process .*trains here"), Lock(tmp_path, print) as second:
        second.take()


def test_a_file_system_without_locks_is_trained_on_with_a_warning(tmp_path, monkeypatch):
    def flock(file, how):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    said = []
    with Lock(tmp_path, said.append) as held:
        held.take()
        assert lock.read(tmp_path)["pid"] == os.getpid()
    assert len(said) == 1 and "has no locks (No locks available): nothing keeps" in said[0]
