import contextlib
import sys
from pathlib import Path

import pytest

from mmjax.cli import script
from mmjax.errors import MissingFileError, OutOfMemoryError, UserError
from mmjax.io import json_file
from mmjax.io.encryption import keys
from mmjax.runs import folder
from mmjax.runs.stop import Interrupted
from tests.config.experiments import SMALL


@pytest.fixture
def main(monkeypatch):
    """A script of this name, whose training raises an error."""

    def run(error):
        def fail(experiment, run, *, timeout, profile):
            assert experiment == SMALL and run == Path("runs/x")
            assert timeout is None and profile is None
            raise error

        monkeypatch.setattr(script, "fit", fail)
        script.main(SMALL)

    monkeypatch.setattr(sys.modules["__main__"], "__file__", "x.py", raising=False)
    monkeypatch.setattr(sys, "argv", ["experiments/x.py"])
    return run


@pytest.mark.parametrize(
    "error, code, message",
    [
        (Interrupted("stopped after step 3", 15), 143, "stopped after step 3"),
        (KeyboardInterrupt(), 130, "stopped at once; run the same command again"),
        (UserError("expected X, got Y"), 1, "error: expected X, got Y"),
        (MissingFileError("put the files there"), 1, "error: put the files there"),
        (OutOfMemoryError("out of memory"), 1, "error: out of memory"),
    ],
)
def test_a_run_that_ends_early_ends_with_a_line_and_a_code(error, code, message, main, capsys):
    with pytest.raises(SystemExit) as ended:
        main(error)
    assert ended.value.code == code
    assert message in capsys.readouterr().err


def test_a_bug_keeps_its_traceback(main):
    with pytest.raises(ValueError, match="a bug"):
        main(ValueError("a bug"))


def test_a_notebook_is_told_what_to_call(main, monkeypatch):
    monkeypatch.delattr(sys.modules["__main__"], "__file__")
    with pytest.raises(UserError, match=r"in a notebook call mmjax\.fit"):
        main(AssertionError)


@pytest.mark.parametrize("error", [None, Interrupted("stopped after step 3", 15)])
def test_an_encrypted_run_is_there_only_while_it_trains(error, monkeypatch, tmp_path, capsys):
    run, key = tmp_path / "run", tmp_path / "key"
    keys.create(key)

    def training(experiment, run, **_):
        assert not run.exists() or (run / "state").read_text() == "1"
        run.mkdir(exist_ok=True)
        (run / "state").write_text("1")
        json_file.write(run / "results.json", {"step": 1, "parameters": 1, "training_minutes": 1})
        if error:
            raise error
        return {}

    monkeypatch.setattr(script, "fit", training)
    monkeypatch.setattr(sys.modules["__main__"], "__file__", "x.py", raising=False)
    monkeypatch.setattr(sys, "argv", ["x.py", "--workdir", str(run), "--encrypt", str(key)])
    for _ in range(2):
        with contextlib.suppress(SystemExit):
            script.main(SMALL)
        assert not run.exists() and (tmp_path / "run.enc").is_file()
        assert f"-o {run} --key {key}" in capsys.readouterr().out
    with pytest.raises(UserError, match=r"is encrypted: mmjax decrypt .*run\.enc -o "):
        folder.require(run)
    monkeypatch.setattr(sys, "argv", ["x.py", "--workdir", str(tmp_path), "--encrypt", str(key)])
    with pytest.raises(SystemExit):
        script.main(SMALL)
    assert "the key lies within" in capsys.readouterr().err and key.exists()
