"""Eight fake devices, strict promotion, and shapes checked wherever the package states them."""

import atexit
import gc
import io
import os
import resource
import shutil
import subprocess
import tempfile

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["MMJAX_COMPILATION_CACHE"] = "off"  # what a user's folder holds must not matter
# Tests compile the same small programs over and over: all workers of a session do it once.
if "PYTEST_XDIST_WORKER" not in os.environ:
    os.environ["MMJAX_TESTS_COMPILED"] = tempfile.mkdtemp(prefix="mmjax-tests-")
    atexit.register(shutil.rmtree, os.environ["MMJAX_TESTS_COMPILED"], ignore_errors=True)
os.environ["XLA_FLAGS"] = " ".join(
    [
        os.environ.get("XLA_FLAGS", ""),
        "--xla_force_host_platform_device_count=8",
        # Tests compile much and run little. The contracts of three fusions took 77 s with the first
        # two of these flags, and 42 s with all.
        "--xla_backend_optimization_level=0",
        "--xla_llvm_disable_expensive_passes=true",
        "--xla_cpu_use_fusion_emitters=false",
        "--xla_cpu_parallel_codegen_split_count=1",
    ]
)

import jax
import pytest
from jaxtyping import install_import_hook

pytest.register_assert_rewrite("tests.browser")


def _commit() -> int:
    """A number of the commit that is tested: it chooses what is drawn and which slow tests run."""
    command = ["git", "-C", os.path.dirname(__file__), "rev-parse", "HEAD"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    return int(found.stdout[:8], 16) if found.returncode == 0 else 0


SEED = int(os.environ.setdefault("MMJAX_SEED", str(_commit())))

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_compilation_cache_dir", os.environ["MMJAX_TESTS_COMPILED"])
jax.config.update("jax_compilation_cache_max_size", 2 * 10**9)  # with a bound, JAX locks the folder
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)

# Not `types`: JAX also builds a pytree's dataclass of shapes and sentinels.
_CHECKED = [
    "io",
    "layers",
    "metrics",
    "statistics",
    "encoders",
    "fusion",
    "imputation",
    "heads",
    "objectives",
]
_CHECKED += ["balance", "optim", "data", "models", "config", "devices", "runs", "weights", "train"]
_CHECKED += ["evaluation", "search", "reports", "active", "export", "privacy", "cli"]
install_import_hook([f"mmjax.{name}" for name in _CHECKED], "beartype.beartype")


def pytest_collection_modifyitems(config, items):
    """Every sixth slow test runs, chosen by the commit; MMJAX_SLOW=all runs all."""
    if os.environ.get("MMJAX_SLOW") == "all" or any("::" in argument for argument in config.args):
        return
    slow = sorted(
        (item for item in items if item.get_closest_marker("slow")), key=lambda item: item.nodeid
    )
    for place, item in enumerate(slow):
        if place % 6 != SEED % 6:
            why = "slow, not of this commit: MMJAX_SLOW=all runs it"
            item.add_marker(pytest.mark.skip(reason=why))


@pytest.fixture(scope="module", autouse=True)
def memory_below_4_gb():
    """Compiled programs stay in memory, and there are thousands: a large process forgets them."""
    yield
    with (
        open("/proc/self/statm") if os.path.exists("/proc/self/statm") else io.StringIO("0 0") as f
    ):
        resident = int(f.read().split()[1]) * resource.getpagesize()
    if resident > 2.5e9:
        jax.clear_caches()
        gc.collect()


@pytest.fixture
def standard_promotion():
    """For what calls optax: its own arithmetic mixes types (integer step counts with floats)."""
    with jax.numpy_dtype_promotion("standard"):
        yield


@pytest.fixture(scope="session")
def digits_dir(tmp_path_factory):
    """A folder in which the digits are prepared."""
    from mmjax.data.datasets import DigitsMatch

    folder = str(tmp_path_factory.mktemp("datasets"))
    DigitsMatch(data_dir=folder).prepare()
    return folder


@pytest.fixture(scope="session")
def finished(tmp_path_factory, digits_dir):
    """(run's folder, test metrics) of a small finished training."""
    from mmjax.data.datasets import DigitsMatch
    from mmjax.train.loop.fit import fit
    from tests.config.experiments import small

    run = tmp_path_factory.mktemp("runs") / "small"
    with jax.numpy_dtype_promotion("standard"):
        metrics = fit(small(data=DigitsMatch(data_dir=digits_dir)), run)
    return run, metrics
