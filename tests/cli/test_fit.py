"""`mmjax fit`: from a table to a trained model."""

import json
import subprocess
import sys

import numpy as np
import pytest

from mmjax.config import storage
from tests.cli.command import mmjax, process
from tests.data.tables.made import write


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """The folder of a fit to a table whose text decides and whose number is noise."""
    folder, rng = tmp_path_factory.mktemp("planted"), np.random.default_rng(0)
    rows = []
    for _ in range(400):
        good = int(rng.integers(2))
        words = rng.choice(["cup", "tea", "milk"], 3).tolist() + [("bad", "fine")[good]]
        rows.append({"note": " ".join(words), "age": rng.normal(), "good": good})
    write(folder / "rows.csv", rows)
    command = ("fit", "rows.csv", "--target", "good", "--minutes", "0.01", "-o", "out")
    done = process(*command, "--write", "written.py", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder, done


def test_the_modality_that_decides_wins_and_every_model_is_shown(planted):
    folder, done = planted
    results = json.loads((folder / "out" / "models.json").read_text())
    best = results["models"][0]
    assert "--data.columns good:binary note:text table=age:table" in done.stderr
    assert results["metric"] == "good/auroc" and best["model"].startswith("only note")
    assert best["test"]["good/auroc"] > 0.95
    assert "best: only note" in done.stdout and "left out, the 0.01 minutes are over" in done.stderr


@pytest.mark.slow
def test_the_written_experiment_is_the_best_and_gives_the_same_numbers(planted):
    folder, _ = planted
    results = json.loads((folder / "out" / "models.json").read_text())
    command = [sys.executable, "written.py", "--workdir", "again"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    again = json.loads((folder / "again" / "results.json").read_text())
    assert again["metrics"] == results["models"][0]["test"]
    first, second = (storage.load(folder / run / "config.json") for run in ("out/best", "again"))
    assert first == second


def test_the_best_run_predicts_for_the_table(planted):
    shown = mmjax("predict", "out/best", "--batch", "rows.csv", "--json", cwd=planted[0])
    lines = [json.loads(line) for line in shown.splitlines()]
    assert [line["line"] for line in lines] == list(range(2, 402))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--target", "nope", "-o", "new"), "no column 'nope' for the target"),
        (("--target", "good"), "out: expected a new or empty folder; choose another with --out"),
        (
            ("--target", "good", "-o", "new", "--columns", "note:text"),
            "one target, good:KIND, got none",
        ),
        (("--target", "good", "-o", "new", "--split", "part"), "no column 'part'"),
        (("--target", "good", "-o", "new", "--columns", "good:binary"), "expected a modality"),
    ],
)
def test_errors_are_a_line_and_leave_no_folder(planted, arguments, message):
    flags = () if "-o" in arguments else ("-o", "out")
    error = mmjax("fit", "rows.csv", *arguments, *flags, cwd=planted[0], code=1).splitlines()
    assert error[-1].startswith("error: ") and message in error[-1]
    assert not (planted[0] / "new").exists()
