import dataclasses
import errno
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from mmjax.devices.failure import explained
from tests.config.experiments import small

RUN = Path("runs/x")


def test_a_step_that_the_memory_does_not_hold_says_what_takes_less():
    with pytest.raises(MemoryError) as caught, explained(small(batch_size=16), RUN):
        jax.jit(lambda: jnp.ones((1 << 46,)))().block_until_ready()
    for remedy in (
        "--batch-size 16",
        "--devices",
        "--accumulate 2",
        "--remat",
        "--model.precision bfloat16",
    ):
        assert remedy in str(caught.value)
    least = dataclasses.replace(small().model, precision="bfloat16")
    least = small(model=least, batch_size=16, accumulate=16, remat=True)
    with pytest.raises(MemoryError) as caught, explained(least, RUN):
        jax.jit(lambda: jnp.ones((1 << 46,)))().block_until_ready()
    for taken in ("bfloat16", "--accumulate", "--remat"):
        assert taken not in str(caught.value)


def test_of_several_processes_the_end_of_another_is_named(monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    message = "another process has ended .*Connection closed by peer.*\n.*run the same command"
    with pytest.raises(ConnectionError, match=message), explained(small(), RUN):
        raise jax.errors.JaxRuntimeError("UNKNOWN: Gloo failed: Connection closed by peer")


def test_other_errors_stay_as_they_are():
    with pytest.raises(jax.errors.JaxRuntimeError, match="INTERNAL"), explained(small(), RUN):
        raise jax.errors.JaxRuntimeError("INTERNAL: ?")
    with pytest.raises(KeyError), explained(small(), RUN):
        raise KeyError("x")


def test_a_disk_that_takes_nothing_more_is_named_by_the_run():
    message = r"runs/x: cannot be written to: .*No space left.*\n.*run the same command again"
    with pytest.raises(OSError, match=message), explained(small(), RUN):
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(FileNotFoundError, match="nowhere"), explained(small(), RUN):
        raise FileNotFoundError(errno.ENOENT, "nowhere")
