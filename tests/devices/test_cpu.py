"""Compiler options and memory settings for CPUs."""

import subprocess
import sys
from unittest import mock

import jax
import numpy as np
import pytest

from mmjax.devices import cpu, parallel


@pytest.fixture(autouse=True)
def unset(monkeypatch):
    """The tests' own flags do not name the option; each test asks the compiler afresh."""
    cpu._is_supported.cache_clear()
    yield
    cpu._is_supported.cache_clear()


def test_a_cpu_is_told_which_library_computes_what_and_nothing_else_is():
    told = cpu.compiler_options("cpu")
    assert told is not None and set(told) == {"xla_cpu_experimental_ynn_fusion_type"}
    assert cpu.compiler_options("gpu") is None and cpu.compiler_options("tpu") is None


def test_what_the_user_has_set_is_left_alone(monkeypatch):
    monkeypatch.setenv(
        "XLA_FLAGS", "--xla_cpu_experimental_ynn_fusion_type=LIBRARY_FUSION_TYPE_DOT"
    )
    assert cpu.compiler_options("cpu") is None


def test_a_compiler_that_does_not_know_the_option_compiles_without_it():
    with mock.patch.object(cpu, "_OPTIONS", {"xla_of_another_year": "x"}):
        assert cpu.compiler_options("cpu") is None


@pytest.mark.parametrize("wrapper", parallel.WRAPPERS)
def test_both_wrappers_compile_with_it(wrapper):
    """An option that no compiler knows stops them, so they do hand it on."""
    mesh = parallel.mesh_of(8)
    step = parallel.WRAPPERS[wrapper](lambda state, batch, axis: (state, batch.sum()), mesh)
    assert step(np.float32(1), np.ones(8, np.float32))[0] == 1
    with mock.patch.object(cpu, "compiler_options", lambda platform: {"xla_of_another_year": "x"}):
        step = parallel.WRAPPERS[wrapper](lambda state, batch, axis: (state, batch.sum()), mesh)
    with pytest.raises(jax.errors.JaxRuntimeError, match="xla_of_another_year"):
        step(np.float32(1), np.ones(8, np.float32))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mallopt is glibc's")
def test_memory_that_is_kept_is_not_taken_from_the_system_again():
    """Page faults of arrays of 64 MB that come and go, in a process of its own."""
    code = (
        "import resource, sys\n"
        "from mmjax.devices import cpu\n"
        "assert sys.argv[1] == 'given' or cpu.keep_memory()\n"
        "import numpy as np\n"
        "count = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "np.ones(2**23); before = count()\n"
        "for _ in range(5): np.ones(2**23)\n"
        "print(count() - before)\n"
    )
    faults = {
        how: int(subprocess.check_output([sys.executable, "-c", code, how], text=True))
        for how in ("given", "kept")
    }
    assert faults["kept"] < faults["given"] / 10
