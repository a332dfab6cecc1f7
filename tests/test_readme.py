"""The README's Python and its commands do what it says."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "mmjax").glob("*/README.md"))]


def blocks(language, pages=PAGES):
    return [
        block
        for page in pages
        for block in re.findall(
            rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL
        )
    ]


@pytest.fixture
def beside_a_run(finished, tmp_path, monkeypatch):
    """A folder like the one in which the README's reader sits, after the first training."""
    shutil.copytree(finished[0], tmp_path / "runs" / "digits_match")
    Image.new("L", (28, 28)).save(tmp_path / "a.png")
    (tmp_path / "pairs.csv").write_text("image,text\na.png,the digit seven\n")
    (tmp_path / "pictures").mkdir()
    for i in range(160):  # different ones: rows that share a picture are of one split
        Image.new("L", (28, 28), i).save(tmp_path / "pictures" / f"{i}.png")
    lines = [f"pictures/{i}.png,the digit {i},{i % 2}" for i in range(160)] + ["no.png,a seven,1"]
    (tmp_path / "rows.csv").write_text("\n".join(["image,text,match", *lines]) + "\n")
    lines = [f"{('red', 'old')[i % 2]} chair,{i},{i % 9},{'ny'[i % 2]}" for i in range(240)]
    (tmp_path / "products.csv").write_text("\n".join(["title,price,weight,sold", *lines]) + "\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("standard_promotion", "beside_a_run")
def test_the_python_runs(capsys):
    names = {}
    for block in blocks("python"):
        assert len(block.splitlines()) < 25
        exec(block, names)
    loss, probability = capsys.readouterr().out.splitlines()
    assert float(loss) < 0.5  # 20 steps on two examples; it began at about 0.69
    assert names["tokens"].values.shape == (2, 10, 128)
    assert 0 < float(probability.strip("[]")) < 1


def test_the_pages_are_short_and_their_links_lead_somewhere():
    assert len(README.splitlines()) <= 150
    for page in PAGES:
        for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            if not link.startswith("http"):
                assert (page.parent / link).exists(), f"{page}: {link}"


COMMANDS = [
    line
    for block in blocks("bash")
    for line in block.splitlines()
    if line.startswith(("python ", "mmjax "))
]


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_runs(command, beside_a_run, digits_dir):
    if "--init runs/digits_match" in command:  # it needs a run of the script's own model
        shutil.rmtree(beside_a_run / "runs" / "digits_match")
        run(COMMANDS[0] + " --workdir runs/digits_match", beside_a_run, digits_dir)
    if "runs/sold" in command:  # this one needs the model that an earlier line has made
        fit = next(line for line in COMMANDS if line.startswith("mmjax fit"))
        done = run(fit.replace("--minutes 5", "--minutes 0.2"), beside_a_run, digits_dir)
        assert "best: " in done.stdout and (beside_a_run / "sold.py").exists()
        if command == fit:
            return
    done = run(command, beside_a_run, digits_dir)
    assert (
        "match" in done.stdout
        or "sold:binary" in done.stdout
        or "predictions: answers.csv" in done.stderr
        or "report: report.html" in done.stdout
    )


def run(command, beside_a_run, digits_dir):
    program, *arguments = shlex.split(command)
    if program == "mmjax":
        arguments = [str(ROOT / a) if a.startswith("experiments/") else a for a in arguments]
        whole = [sys.executable, "-m", "mmjax", *arguments]
    else:
        script = str(ROOT / arguments[0])
        # Fewer steps, the tests' data, and a folder that is not taken; nothing else is changed.
        data = "." if "data:table" in arguments else digits_dir
        short = ["--steps", "2", "--data.data-dir", data]
        short += [] if "--workdir" in arguments else ["--workdir", "runs/new"]
        whole = [sys.executable, script, *arguments[1:], *short]
    done = subprocess.run(
        whole,
        cwd=beside_a_run,
        # Programs that one command has compiled the next may load, as for a user.
        env={
            **os.environ,
            "TFDS_DATA_DIR": digits_dir,
            "MMJAX_COMPILATION_CACHE": "on",
            "XDG_CACHE_HOME": str(Path(digits_dir).parent),
        },
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


def test_the_commands_are_those_of_a_newcomer():
    assert COMMANDS[0] == "python experiments/digits_match.py"
    assert sum(command.startswith("mmjax") for command in COMMANDS) >= 5
    assert "pip install -e '.[test]' && pytest" in README
    ci = (ROOT / ".ci" / "run").read_text()
    assert "pip install -q -e '.[test]'" in ci and "\npytest\n" in ci
