import sys
from pathlib import Path

import pytest

from mmjax.cli import script
from mmjax.errors import MissingFileError, OutOfMemoryError, UserError
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
