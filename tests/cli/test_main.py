"""The command line, in processes of its own as a user has it."""

import json
import subprocess
import sys
import time

import pytest
from PIL import Image


def process(*arguments, cwd=None):
    command = [sys.executable, "-m", "mmjax", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, cwd=cwd
    )


def mmjax(*arguments, code=0):
    done = process(*arguments)
    assert done.returncode == code, done.stderr
    return done.stdout if code == 0 else done.stderr


def test_help_answers_without_loading_jax():
    code = (
        "import sys, mmjax.__main__\n"
        "sys.argv = ['mmjax', '--help']\n"
        "try: mmjax.__main__.main()\n"
        "except SystemExit: pass\n"
        "heavy = {'jax', 'flax', 'tensorflow', 'torch', 'tensorflow_datasets'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    begin = time.monotonic()
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert time.monotonic() - begin < 10  # 0.5 s on an idle machine


def test_list_shows_every_registry_with_a_line_each():
    shown = mmjax("list")
    for name in (
        "cnn",
        "lstm",
        "concat",
        "sum",
        "cross_attention",
        "logit",
        "digits_match",
        "adam",
    ):
        assert name in shown
    assert "  concat                z = [z_1; ...; z_M]" in shown
    assert max(map(len, shown.splitlines())) > 80  # a line each, however long


def test_evaluate_prints_the_numbers_that_training_printed(finished):
    run, metrics = finished
    assert json.loads(mmjax("evaluate", run, "--json")) == metrics
    assert f"{metrics['match/accuracy']:.6f}" in mmjax("evaluate", run)


def test_predict_answers_one_and_many(finished, tmp_path):
    run, _ = finished
    Image.new("L", (8, 8)).save(tmp_path / "a.png")
    shown = mmjax("predict", run, "--image", tmp_path / "a.png", "--text", "the digit seven")
    assert 0 < float(shown.removeprefix("match ")) < 1
    assert "(image was missing)" in mmjax("predict", run, "--text", "the digit seven")

    (tmp_path / "pairs.csv").write_text("image,text\na.png,a 3\nb.png,a 3\n,a xylophone\n")
    batch = ("predict", run, "--batch", tmp_path / "pairs.csv", "--json")
    done = process(*batch)
    assert done.returncode == 1 and "pairs.csv:3: " in done.stderr
    assert [json.loads(line)["line"] for line in done.stdout.splitlines()] == [2]

    done = process(*batch, "--on-bad-row", "skip", cwd=tmp_path)
    assert done.returncode == 0
    assert "1 row was skipped; lines and reasons: pairs.skipped.csv" in done.stderr
    report = (tmp_path / "pairs.skipped.csv").read_text().splitlines()
    assert report[0] == "line,reason" and report[1].startswith("3,") and "b.png" in report[1]
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["line"] for line in lines] == [2, 4]
    assert lines[1]["notes"] == ["image was missing", "text: 1 of 2 words unknown"]


def test_a_report_goes_with_rows_that_are_skipped(finished, tmp_path):
    batch = ("predict", finished[0], "--batch", tmp_path / "pairs.csv")
    (tmp_path / "pairs.csv").write_text("text\na 3\n")
    assert "--report: only --batch with --on-bad-row skip" in mmjax(
        *batch, "--report", tmp_path / "bad.csv", code=1
    )
    skip = (*batch, "--on-bad-row", "skip", "--report")
    assert "is the batch itself" in mmjax(*skip, tmp_path / "pairs.csv", code=1)
    mmjax(*skip, tmp_path / "bad.csv")
    assert (tmp_path / "bad.csv").read_text().strip() == "line,reason"


def test_table_is_markdown(finished):
    lines = mmjax("table", finished[0]).splitlines()
    assert lines[0].startswith("| seeds | match/accuracy") and lines[1].startswith("| --- |")


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["evaluate", "nowhere"], "error: nowhere is not a run: it has no config.json"),
        (["predict", "nowhere"], "error: nowhere is not a run: it has no config.json"),
        (["table", "nowhere"], "error: nowhere is not a run: it has no config.json"),
    ],
)
def test_errors_are_one_line(arguments, message):
    assert mmjax(*arguments, code=1).strip().splitlines()[-1] == message
