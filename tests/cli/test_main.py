"""The command line, in processes of its own as a user has it."""

import csv
import json
import os
import re
import subprocess
import sys
import time

import pytest
from PIL import Image

from mmjax.cli.options import joined
from tests.cli.command import mmjax, process


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


def test_a_flag_of_several_values_may_be_repeated_and_others_may_not():
    given = ["predict", "run", "--input", "a=1", "--json", "--input", "b=2", "c=3", "--num", "2"]
    assert joined(given) == [
        *("predict", "run", "--input", "a=1", "b=2", "c=3", "--json", "--num", "2")
    ]
    assert joined(["describe", "a.py", "--", "--x", "1", "--x", "2"])[2:] == [
        *("--", "--x", "1", "--x", "2")
    ]
    done = process("predict", "run", "--image", "a.png", "--image=b.png")
    assert done.returncode == 1 and done.stderr == "error: --image: given twice\n"


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
    value, probability = re.fullmatch(r"match (yes|no) \(p = (0\.\d{4})\)\n", shown).groups()
    assert (value == "yes") == (float(probability) > 0.5)
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
    assert report[0] == "line,column,outcome,reason"
    assert report[1].startswith("3,,skipped,") and "b.png" in report[1]
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
    (tmp_path / "link.csv").symlink_to(tmp_path / "pairs.csv")
    assert "is the batch itself" in mmjax(*skip, tmp_path / "link.csv", code=1)
    (tmp_path / "thesis.csv").write_text("precious\n")
    assert "expected a report of skipped rows" in mmjax(*skip, tmp_path / "thesis.csv", code=1)
    assert (tmp_path / "thesis.csv").read_text() == "precious\n"
    mmjax(*skip, tmp_path / "bad.csv")
    assert (tmp_path / "bad.csv").read_text().strip() == "line,column,outcome,reason"


def test_predictions_are_written_beside_the_rows_of_the_batch(finished, tmp_path):
    (tmp_path / "pairs.csv").write_text("id,text,match\n7,a 3,1\n8,the digit seven,0\n")
    batch = ("predict", finished[0], "--batch", tmp_path / "pairs.csv", "--out")
    done = process(*batch, tmp_path / "answers.csv")
    assert done.returncode == 0 and "columns that the run does not read: id, match" in done.stderr
    rows = list(csv.DictReader((tmp_path / "answers.csv").read_text().splitlines()))
    assert [(row["id"], row["text"]) for row in rows] == [("7", "a 3"), ("8", "the digit seven")]
    assert all(0 < float(row["match.probability"]) < 1 for row in rows)
    assert all(row["notes"] == "image was missing" for row in rows)
    assert "is the batch itself" in mmjax(*batch, tmp_path / "pairs.csv", code=1)


def test_a_run_answers_alike_where_the_process_works_with_64_bits(finished):
    ask = ("predict", finished[0], "--text", "the digit seven")
    wide = process(*ask, env={**os.environ, "JAX_ENABLE_X64": "1"})
    assert wide.returncode == 0 and wide.stdout == mmjax(*ask)


def test_who_reads_no_further_ends_it_quietly():
    command = f"{sys.executable} -m mmjax list | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)
    assert done.stdout == "model\n" and done.stderr == ""


OWN = """
import flax.linen as nn
import mmjax

class MySum(nn.Module):
    dim: int = 8

    @nn.compact
    def __call__(self, modalities, train):
        return mmjax.fusion.Sum(dim=self.dim)(modalities, train=train)

{register}
experiment = mmjax.Experiment(
    model=mmjax.Multimodal(
        encoders={{"image": mmjax.encoders.Cnn((4,), 8), "text": mmjax.encoders.Lstm(dim=8)}},
        fusion=MySum(),
        heads={{"match": mmjax.heads.Logit((8,))}},
    ),
    objectives={{"match": mmjax.objectives.BinaryCrossEntropy(output="match", target="match")}},
    data=mmjax.data.DigitsMatch(data_dir={data!r}),
    optim=mmjax.optim.Adam(),
    steps=2,
    batch_size=16,
)
if __name__ == "__main__":
    mmjax.main(experiment)
"""


@pytest.mark.slow
def test_a_part_of_the_users_own_is_trained_restored_and_refused_where_it_is_unknown(
    digits_dir, tmp_path
):
    def run(register, *arguments):
        text = OWN.format(register=register, data=digits_dir)
        (tmp_path / "own.py").write_text(text)
        command = [sys.executable, "own.py", "--workdir", "run", *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    done = run("")
    assert done.returncode == 1 and "mmjax.register(MySum)" in done.stderr.splitlines()[-1]
    assert not (tmp_path / "run").exists()
    done = run(
        'mmjax.register(MySum, family="fusion")', "model.fusion:my_sum", "--model.fusion.dim", "6"
    )
    assert done.returncode == 0, done.stderr
    evaluated = ("evaluate", tmp_path / "run", "--json")
    assert "unknown type 'fusion/my_sum'" in mmjax(*evaluated, code=1)
    accuracy = json.loads(mmjax(*evaluated, "--with", tmp_path / "own.py"))["match/accuracy"]
    assert f"{accuracy:.6f}" in done.stdout


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
