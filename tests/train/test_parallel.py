import jax
import pytest

from mmjax.train import parallel


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
