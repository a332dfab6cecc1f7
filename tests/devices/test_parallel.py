import os
import subprocess
import sys

import jax
import pytest

from mmjax.devices import parallel


def test_all_devices_are_taken_unless_some_are_asked_for():
    assert parallel.choose(16).size == 8 and parallel.choose(15, 3).size == 3


def test_a_batch_that_does_not_divide_is_refused_with_the_nearest_sizes():
    with pytest.raises(ValueError, match=r"--batch-size 130 .* 8 devices: take 128 or 136"):
        parallel.choose(130)
    with pytest.raises(ValueError, match=r"--batch-size 3 .* take 8,"):
        parallel.choose(3)


def test_more_devices_than_there_are_is_refused():
    with pytest.raises(ValueError, match="--devices 9: this machine has 8 cpu devices"):
        parallel.choose(18, 9)


def test_once_the_devices_are_in_use_asking_for_others_changes_nothing(monkeypatch):
    jax.devices()
    parallel.request_host_devices(128, 2)
    monkeypatch.setenv("XLA_FLAGS", "")
    parallel.request_host_devices(128, 2)
    assert len(jax.devices()) == 8


@pytest.mark.parametrize("batch_size, wanted", [(12, 4), (7, None), (12, None)])
def test_a_process_on_a_cpu_gets_as_many_devices_as_it_asks_for(batch_size, wanted):
    """In a process of its own, without the flag that the tests set for themselves."""
    code = (
        "import jax\n"
        "from mmjax.devices import parallel\n"
        f"parallel.request_host_devices({batch_size}, {wanted})\n"
        "print(len(jax.devices()), parallel.cores())"
    )
    environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    printed = subprocess.check_output([sys.executable, "-c", code], env=environment, text=True)
    found, cores = map(int, printed.split())
    divisors = [n for n in range(1, min(cores, 8) + 1) if batch_size % n == 0]
    assert found == (wanted or max(divisors))
