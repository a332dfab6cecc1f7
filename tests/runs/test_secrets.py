"""What a training writes and prints tells nothing of the environment, the user and the machine."""

import gzip
import json
import os
import subprocess
import sys

import pytest

from tests.faults.trainee import ROOT

# Each is a word that nothing else in the world contains.
SECRETS = {
    "a variable": "ajar7token",
    "the home folder": "lovelace9home",
    "the user": "lovelace8user",
    "the host": "analytical6engine",
}
HOST = f"import socket\nsocket.gethostname = lambda: {SECRETS['the host']!r}\n"
SEEN = """
import getpass, os, pathlib, socket
print(os.environ["SECRET_TOKEN"], pathlib.Path.home().name, getpass.getuser(), socket.gethostname())
"""
FLAGS = ["--workdir", "runs/small", "--steps", "2", "--eval-every", "1", "--batch-size", "16"]
FLAGS += ["--devices", "1", "--tensorboard", "--model.encoders.image.features", "4"]
FLAGS += ["--profile", "1:2"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """(the run's folder, all that was printed, what could have been told) in a user's home."""
    home = tmp_path_factory.mktemp("home") / SECRETS["the home folder"]
    (home / "site").mkdir(parents=True)
    (home / "site" / "sitecustomize.py").write_text(HOST)
    environment = {key: value for key, value in os.environ.items() if key != "XLA_FLAGS"}
    environment |= {"HOME": str(home), "SECRET_TOKEN": SECRETS["a variable"]}
    environment |= {"MMJAX_COMPILATION_CACHE": "on", "XDG_CACHE_HOME": ""}
    environment |= dict.fromkeys(("USER", "LOGNAME", "USERNAME"), SECRETS["the user"])
    environment["PYTHONPATH"] = os.pathsep.join([str(home / "site"), str(ROOT)])
    command = [sys.executable, str(ROOT / "experiments" / "digits_match.py"), *FLAGS]
    command += ["--data.data-dir", str(home / "data")]
    options = {"cwd": home, "env": environment, "capture_output": True, "text": True}
    found = subprocess.run(command, **options)
    assert found.returncode == 0, found.stderr
    seen = subprocess.run([sys.executable, "-c", SEEN], **options).stdout.split()
    assert list((home / ".cache" / "mmjax" / "compiled").rglob("*-cache"))
    return home / "runs" / "small", found.stdout + found.stderr, seen


def told(content: bytes) -> list[str]:
    """Which secrets it tells."""
    if content.startswith(b"\x1f\x8b"):
        content += gzip.decompress(content)
    return [name for name, secret in SECRETS.items() if secret.encode() in content]


def test_no_file_of_a_run_tells_a_secret(trained):
    files = [path for path in trained[0].rglob("*") if path.is_file()]
    assert {"config.json", "environment.json", "metrics.jsonl"} <= {path.name for path in files}
    found = {str(path.relative_to(trained[0])): told(path.read_bytes()) for path in files}
    assert not {path: secrets for path, secrets in found.items() if secrets}


def test_no_name_of_a_file_tells_a_secret(trained):
    names = [str(path.relative_to(trained[0])) for path in trained[0].rglob("*")]
    assert any("tfevents" in name for name in names)
    assert any("profile/plugins" in name for name in names)
    assert not [name for name in names if told(name.encode())]


def test_what_a_training_prints_tells_no_secret(trained):
    assert "preparing mmjax_digits, once" in trained[1]
    assert not told(trained[1].encode())


def test_a_training_could_have_told_all_of_them(trained):
    assert trained[2] == list(SECRETS.values())
    environment = json.loads((trained[0] / "environment.json").read_text())
    assert environment["command"][-1] == "~/data"
    assert json.loads((trained[0] / "config.json").read_text())["data"]["data_dir"] == "~/data"
