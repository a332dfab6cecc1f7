import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import pytest
from jax.experimental.compilation_cache import compilation_cache as jax_cache

from mmjax.devices import compilation_cache


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A user's cache folder; afterwards nothing is kept any more."""
    options = [
        "jax_compilation_cache_dir",
        "jax_compilation_cache_max_size",
        "jax_persistent_cache_min_compile_time_secs",
    ]
    before = {option: getattr(jax.config, option) for option in options}
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv(compilation_cache.SWITCH, "on")
    monkeypatch.setattr(compilation_cache, "LEAST_SECONDS", 0.0)
    jax.config.update("jax_compilation_cache_dir", None)
    jax_cache.reset_cache()
    yield tmp_path
    for option, value in before.items():
        jax.config.update(option, value)
    jax_cache.reset_cache()


def _compile(factor):
    jax.jit(lambda x: jnp.tanh(x) * factor).lower(jnp.ones(7)).compile()


def _entries(folder):
    return sorted(path for path in folder.glob("*-cache"))


def test_programs_are_kept_in_the_users_cache_folder_and_nobody_elses(home):
    folder = compilation_cache.enable()
    _compile(1.5)
    assert folder.parent == home / "mmjax" / "compiled"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert len([entry for entry in _entries(folder) if "lambda" in entry.name]) == 1
    assert not str(folder.name).count("x86")  # a hash: nothing of the machine is told


def test_a_second_process_loads_what_the_first_compiled_and_gets_the_same_bits(home):
    code = (
        "import jax, jax.numpy as jnp\n"
        "from mmjax.devices import compilation_cache\n"
        "compilation_cache.LEAST_SECONDS = 0.0\n"
        "compilation_cache.enable()\n"
        "found = []\n"
        "jax.monitoring.register_event_listener(lambda name, **_: found.append(name))\n"
        "x = jnp.linspace(0, 1, 999).reshape(27, 37)\n"
        "y = jax.jit(lambda x: jax.nn.softmax(x @ x.T) @ jnp.sin(x))(x)\n"
        "print(jax.device_get(y).tobytes().hex())\n"
        "print(sum(name.endswith('cache_hits') for name in found))\n"
    )
    found = []
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.returncode == 0 and not done.stderr
        found.append(done.stdout.split())
    assert found[0][0] == found[1][0]
    assert int(found[0][1]) == 0 and int(found[1][1]) > 2


@pytest.mark.parametrize(
    "environment", [{compilation_cache.SWITCH: "off"}, {"JAX_COMPILATION_CACHE_DIR": "elsewhere"}]
)
def test_it_is_left_alone_where_the_user_wants_none_or_another(home, monkeypatch, environment):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    jax.config.update("jax_compilation_cache_dir", os.environ.get("JAX_COMPILATION_CACHE_DIR"))
    assert compilation_cache.enable() is None
    assert jax.config.jax_compilation_cache_dir == environment.get("JAX_COMPILATION_CACHE_DIR")
    assert not list(home.iterdir())


def test_a_switch_that_is_neither_on_nor_off_is_refused(home, monkeypatch):
    monkeypatch.setenv(compilation_cache.SWITCH, "no")
    with pytest.raises(ValueError, match="MMJAX_COMPILATION_CACHE: expected on or off, got 'no'"):
        compilation_cache.enable()


def test_a_folder_that_cannot_be_used_is_a_warning(home, capsys):
    (home / "mmjax").write_text("a file")
    assert compilation_cache.enable() is None
    assert "warning: compiled programs are not kept: " in capsys.readouterr().err
    assert jax.config.jax_compilation_cache_dir is None


@pytest.mark.parametrize("mode, user", [(0o770, os.getuid()), (0o700, os.getuid() + 1)])
def test_a_folder_that_others_may_write_is_not_used(home, monkeypatch, capsys, mode, user):
    """What lies there would be executed."""
    compilation_cache.enable().chmod(mode)
    monkeypatch.setattr(os, "getuid", lambda: user)
    jax.config.update("jax_compilation_cache_dir", None)
    assert compilation_cache.enable() is None
    assert "others may write there" in capsys.readouterr().err


def test_what_a_killed_process_left_is_removed_and_the_rest_stays(home):
    folder = compilation_cache.enable()
    assert folder is not None
    _compile(2.5)
    whole = _entries(folder)
    (folder / "torn-cache").write_bytes(whole[0].read_bytes()[:-9])
    (folder / "torn-atime").write_bytes(bytes(8))
    (folder / "lost-cache").write_bytes(whole[0].read_bytes())  # JAX needs the time beside it
    jax.config.update("jax_compilation_cache_dir", None)
    assert compilation_cache.enable() == folder and _entries(folder) == whole


def test_machines_with_other_processors_or_cores_share_nothing(monkeypatch):
    """JAX's key leaves both out."""
    here = compilation_cache._machine()
    monkeypatch.setattr(compilation_cache.cpu, "cores", lambda: 97)
    assert compilation_cache._machine() != here
