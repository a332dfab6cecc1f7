import sys
from pathlib import Path

import pytest

from mmjax.cli import script
from mmjax.runs.stop import Interrupted
from tests.config.experiments import SMALL


@pytest.mark.parametrize(
    "error, code, message",
    [
        (Interrupted("stopped after step 3", 15), 143, "stopped after step 3"),
        (KeyboardInterrupt(), 130, "stopped at once; run the same command again"),
        (ValueError("expected X, got Y"), 1, "error: expected X, got Y"),
        (FileNotFoundError("put the files there"), 1, "error: put the files there"),
        (MemoryError("out of memory"), 1, "error: out of memory"),
    ],
)
def test_a_run_that_ends_early_ends_with_a_line_and_a_code(
    error, code, message, monkeypatch, capsys
):
    def fail(experiment, run, *, timeout, profile):
        assert experiment == SMALL and run == Path("runs/x") and timeout is None and profile is None
        raise error

    monkeypatch.setattr(script, "fit", fail)
    monkeypatch.setattr(sys, "argv", ["experiments/x.py"])
    with pytest.raises(SystemExit) as ended:
        script.main(SMALL)
    assert ended.value.code == code
    assert message in capsys.readouterr().err
