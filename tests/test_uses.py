"""The experiments of uses: what is planted is what their first lines say, and they run."""

import dataclasses
import functools
import importlib
import os
import sys
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.special
from scipy.io import wavfile

import mmjax
from mmjax.data.datasets import fsdd, storage
from tests.data.datasets.test_kitti import recordings as recordings
from tests.test_experiments import FOLDER, load

pytestmark = pytest.mark.usefixtures("standard_promotion", "beside")


@pytest.fixture
def beside(monkeypatch):
    """A script finds the files beside it; what it registers is known by the class of this load."""
    monkeypatch.syspath_prepend(str(FOLDER))
    for name in ("study", "driving_scene", "diagnosis", "digits_match"):
        monkeypatch.delitem(sys.modules, name, raising=False)


@pytest.fixture
def fresh_registry(monkeypatch):
    from mmjax.config.registry import FAMILIES

    for family in ("data", "encoder"):
        monkeypatch.setitem(FAMILIES, family, dict(FAMILIES[family]))


@pytest.fixture
def fresh_optimisers(monkeypatch):
    from mmjax.config.registry import FAMILIES

    monkeypatch.setitem(FAMILIES, "optim", dict(FAMILIES["optim"]))


def test_planted_emotions_are_utterances_of_known_score(tmp_path):
    emotion = load(FOLDER / "emotion.py")
    emotion.write_planted(tmp_path / "planted.npz", videos=40)
    data = mmjax.data.Utterances(file="planted.npz", data_dir=str(tmp_path), context=2)
    data.prepare()
    rows: Any = data.rows
    assert len({row.video for row in rows}) == 40
    lengths = {len(row.features["text"]) for row in rows}
    assert min(lengths) >= 5 and max(lengths) <= 12 and len(lengths) > 3  # padding is left out
    # Who knows words, voice and mood has the stated error.
    said = np.array([row.features["text"][:5, :4].mean() * 5 / 3 for row in rows])
    tone = np.array([row.features["audio"][:, 0].mean() for row in rows])
    score = np.array([row.score for row in rows])
    turned = 0.8 * said * np.where(tone > 0, -1, 1)
    assert np.corrcoef(turned, score)[0, 1] > 0.8 > 0.6 > np.corrcoef(said, score)[0, 1]
    # Who knows all but the noise says the right sign and class as often as stated.
    known = np.load(tmp_path / "planted.npz")["known"]
    right = {
        "positive": np.mean((known > 0) == (score > 0)),
        "class": np.mean(np.rint(np.clip(known, -3, 3)) == np.rint(score)),
    }
    for target, share in right.items():
        assert abs(emotion.best(tmp_path / "planted.npz", target) - share) < 0.06


@pytest.mark.slow
def test_emotions_are_learned_for_a_few_steps(tmp_path, capsys, monkeypatch):
    emotion = load(FOLDER / "emotion.py")
    planted = emotion.write_planted
    monkeypatch.setattr(emotion, "write_planted", lambda path: planted(path, videos=40))
    emotion.main(fast=True, context=1, workdir=tmp_path / "emotion")
    printed = capsys.readouterr().out
    for row in ("context alone", "late fusion", "modalities dropped", "without vision", "acc7"):
        assert row in printed


@pytest.mark.slow
@pytest.mark.parametrize(
    "fields, home, metric",
    [
        ({"target": "class"}, "with-0-around-class", "macro_f1"),
        ({"ahead": 1}, "with-0-around-1-ahead", "correlation"),
    ],
)
def test_classes_and_the_next_emotion_are_learned(fields, home, metric, tmp_path, monkeypatch):
    emotion = load(FOLDER / "emotion.py")
    planted = emotion.write_planted
    monkeypatch.setattr(emotion, "write_planted", lambda path: planted(path, videos=40))
    two = functools.partial(mmjax.data.Utterances, modalities=("text", "vision"))
    monkeypatch.setattr(mmjax.data, "Utterances", two)
    monkeypatch.setattr(emotion, "FUSIONS", {"concat": mmjax.fusion.Concat()})
    emotion.main(fast=True, context=0, workdir=tmp_path / "emotion", **fields)
    table = (tmp_path / "emotion_fast" / f"{home}.md").read_text()
    assert metric in table and "| late fusion | " in table


@pytest.mark.slow
def test_emotions_are_learned_from_recordings_and_transcripts(tmp_path, capsys, monkeypatch):
    lines = ["text,audio,score,video"]
    for i in range(40):
        tone = np.sin(np.arange(400) * 2 * np.pi * (200 + 100 * (i % 2)) / 8000)
        wavfile.write(tmp_path / f"{i}.wav", 8000, (10_000 * tone).astype(np.int16))
        lines.append(f"a {('bad', 'good')[i % 2]} day,{i}.wav,{2 * (i % 2) - 1},v{i // 2}")
    (tmp_path / "raw.csv").write_text("\n".join(lines))
    emotion = load(FOLDER / "emotion.py")
    short = functools.partial(emotion.columns.SoundColumn, max_samples=800)
    monkeypatch.setattr(emotion.columns, "SoundColumn", short)
    emotion.main(fast=True, raw=tmp_path / "raw.csv", workdir=tmp_path / "emotion")
    printed = capsys.readouterr().out
    for row in ("text alone", "audio alone", "cross_attention", "late fusion"):
        assert f"| {row} | " in printed
    assert "| concat | " not in printed  # one fusion alone


@pytest.mark.slow
def test_findings_are_read_from_films_and_reports(tmp_path, capsys):
    findings = load(FOLDER / "findings.py")
    findings.main(fast=True, dicom=True, workdir=tmp_path / "findings")
    printed = capsys.readouterr().out
    for row in ("both 9", "report alone", "late fusion", "without image", "mean_average_precision"):
        assert row in printed


def test_planted_findings_are_seen_and_said_as_often_as_stated(tmp_path):
    findings = load(FOLDER / "findings.py")
    table = findings.data(findings.write_planted(tmp_path, patients=150), planted=True)
    table.prepare()
    parts = [table.source(split) for split in ("train", "validation", "test")]
    rows = [part.read(np.arange(len(part)), None) for part in parts]
    there, seen, said = (
        np.array([[n in row for n in findings.NAMES] for part in rows for row in part.targets[c]])
        for c in ("findings", "seen", "said")
    )
    for share, stated in (
        (there.mean(), findings.THERE),
        (seen[there].mean(), findings.SEEN),
        (said.mean(), findings.SAID),
    ):
        assert abs(share - stated) < 0.05
    assert not np.any(seen & ~there)
    reports = [report for part in rows for report in part.inputs["report"]]
    for report, spoken, present in zip(reports, said, there, strict=True):
        for name, mentioned, true in zip(findings.NAMES, spoken, present, strict=True):
            phrases = [phrase for phrase in report.split(". ") if name in phrase]
            assert len(phrases) == mentioned
            assert not mentioned or true != phrases[0].startswith(("no ", f"{name} is excluded"))
    film, report, both = findings.optimum(table).values()
    assert 0.8 < film < both and 0.75 < report < both < 1


def test_planted_patients_have_the_stated_odds(tmp_path):
    diagnosis = load(FOLDER / "diagnosis.py")
    diagnosis.write_planted(tmp_path, patients=150)
    table = diagnosis.data(tmp_path, "")
    table.prepare()
    read = {split: diagnosis.read(table, split) for split in ("train", "test")}
    assert not set(read["train"]["patient"]) & set(read["test"]["patient"])
    odds = np.concatenate([part["odds"] for part in read.values()]).astype(float)
    label = np.concatenate([part["malignant"] for part in read.values()]).astype(float)
    expected = scipy.special.expit(odds)
    assert abs(np.mean(label - expected)) < 0.1 and np.corrcoef(label, expected)[0, 1] > 0.4
    every, seen = diagnosis.optimum(table).values()
    assert every["malignant"] > seen["malignant"] > 0.7
    assert every["survival"] > seen["survival"] > 0.65


def test_a_missing_cell_is_integrated_out():
    diagnosis = load(FOLDER / "diagnosis.py")
    known = {"texture": [1, -1, 1], "age": [77.3, np.nan, np.nan], "smoker": [1, -1, np.nan]}
    chance, odds = diagnosis.visible(*map(np.array, known.values()))
    ages = (np.linspace(30, 90, 100_001) - 60) / 17.3
    p = scipy.special.expit
    expected = [p(3.0), p(-2.0 + ages).mean(), (p(2.0 + ages) + p(0.4 + ages)).mean() / 2]
    np.testing.assert_allclose(chance, expected, rtol=1e-4)
    np.testing.assert_allclose(odds, [3.0, -2.0, 1.2])


def test_limits_are_of_one_row_of_patients_who_have_not_chosen_the_temperature():
    diagnosis = load(FOLDER / "diagnosis.py")
    fitted, limiting = diagnosis.halves(np.array(["a", "b", "b", "a", "c", "d", "d"]))
    assert fitted.tolist() == [0, 3, 4] and limiting.tolist() == [1, 5]


@pytest.mark.slow
def test_a_diagnosis_comes_with_its_decisions(tmp_path, capsys, monkeypatch):
    diagnosis = load(FOLDER / "diagnosis.py")
    diagnosis.main(fast=True, workdir=tmp_path / "diagnosis")
    printed = capsys.readouterr().out
    for text in ("concordance; who knows", "interval over patients", "sensitivity", "physician"):
        assert text in printed


@pytest.mark.usefixtures("fresh_registry")
def test_materials_are_told_apart_by_who_knows_the_rule():
    touch = load(FOLDER / "touch.py")
    data = touch.Materials(test_size=3000)
    examples = data.source("test").read(np.arange(3000), None)
    felt, moved = (np.stack(list(examples.inputs[n])) for n in ("touch", "movement"))
    assert felt.shape == (3000, 48, 2) and moved.shape == (3000, 12, 2)
    speed = moved[:, :, 0].mean(axis=1)
    # The frequency by a fine search, over the speed: near 4 or near 6.
    grid = np.linspace(3, 19, 321)
    waves = np.exp(-2j * np.pi * grid[:, None] * felt[0, :, 1])
    frequency = grid[np.argmax(np.abs(felt[:, :, 0] @ waves.T), axis=1)]
    wide = frequency / speed < np.sqrt(24)
    pictures = np.asarray(examples.inputs["vision"])[..., 0].astype(float)
    rows, columns = pictures.mean(axis=2).std(axis=1), pictures.mean(axis=1).std(axis=1)
    pattern = np.where(columns > rows, 0, 1)
    pattern[np.maximum(rows, columns) < 25] = 2
    named = [touch.MATERIALS[p + 3 * w] for p, w in zip(pattern, wide, strict=True)]
    right = np.mean(np.array(named) == np.array(examples.targets["material"]))
    assert 0.93 < right < 0.965


@pytest.mark.slow
@pytest.mark.usefixtures("fresh_registry")
def test_materials_are_felt_sample_by_sample(tmp_path, capsys):
    touch = load(FOLDER / "touch.py")
    touch.main(fast=True, workdir=tmp_path / "touch")
    printed = capsys.readouterr().out
    assert "| aligned by time stamps | " in printed
    assert "samples of touch" in printed and "differ from those of the whole series" in printed
    assert (tmp_path / "touch_fast" / "arriving.png").stat().st_size > 5000


@pytest.mark.usefixtures("fresh_registry")
def test_scenes_of_driving_are_what_the_sensors_say():
    scene = load(FOLDER / "driving_scene.py")
    examples = (
        scene.Drives(test_size=200, condition="clear").source("test").read(np.arange(200), None)
    )
    cells = np.stack(list(examples.targets["occupancy"]))
    edges = [np.linspace(*scene.EXTENT[2 * i : 2 * i + 2], scene.CELLS[i] + 1) for i in (0, 1)]
    hits = []
    for points, grid in zip(examples.inputs["radar"], cells, strict=True):
        metal = points[points[:, 3] > 1.3]  # the others are people and clutter
        row, column = (np.digitize(metal[:, i], edges[i]) - 1 for i in (0, 1))
        kept = (row >= 0) & (row < len(grid)) & (column >= 0) & (column < grid.shape[1])
        hits += grid[row[kept], column[kept]].tolist()
    assert len(hits) > 300 and np.mean(hits) > 0.75  # the radar's error is 0.8 m, a cell has 3 m
    paths = np.stack(list(examples.targets["path"]))
    aside = np.abs(paths[:, -1, 1]) > scene.LANE / 2
    assert 0.1 < aside.mean() < 0.6
    night = scene.Drives(test_size=50, condition="night").source("test").read(np.arange(50), None)
    dark, light = (np.mean(one.inputs["camera"]) for one in (night, examples))
    assert dark < 0.3 * light


@pytest.mark.slow
@pytest.mark.usefixtures("fresh_registry")
def test_driving_is_learned_for_a_few_steps_and_the_sensors_have_a_worth(tmp_path, capsys):
    driving = load(FOLDER / "driving.py")
    driving.main(fast=True, workdir=tmp_path / "driving")
    printed = capsys.readouterr().out
    for text in (*driving.TITLES.values(), "What each sensor adds", "| without radar |"):
        assert text in printed
    assert (tmp_path / "driving_fast" / "worth.png").stat().st_size > 5000


@pytest.mark.slow
@pytest.mark.usefixtures("fresh_registry", "recordings")
def test_driving_is_learned_from_folders_of_kitti(tmp_path, capsys, monkeypatch):
    small = functools.partial(mmjax.data.Kitti, image_size=(24, 80), points=64)
    monkeypatch.setattr(mmjax.data, "Kitti", small)
    load(FOLDER / "driving.py").main(kitti=tmp_path, steps=2, workdir=tmp_path / "driving")
    printed = capsys.readouterr().out
    for row in ("camera alone", "lidar alone", "late fusion"):
        assert printed.count(f"| {row} | ") == 2  # occupied cells, and the warning


@pytest.mark.usefixtures("fresh_optimisers")
def test_pruning_ends_with_the_share_of_weights_that_it_names_and_keeps_biases():
    pruning = load(FOLDER / "pruning.py")
    rng = np.random.default_rng(0)
    params = {"a": {"kernel": jnp.asarray(rng.normal(size=(20, 10))), "bias": jnp.full(10, 1e-6)}}
    optimiser = pruning.PrunedAdam(keep=0.1, peak_lr=1e-3).chain(60)
    state, gone = optimiser.init(params), []
    for _ in range(60):
        updates, state = optimiser.update(params, state, params)
        params = optax.apply_updates(params, updates)
        gone.append(float(np.mean(np.asarray(params["a"]["kernel"]) == 0)))
    assert gone[0] == 0 and 0 < gone[30] < gone[-1] == pytest.approx(0.9, abs=0.01)
    assert np.all(np.asarray(params["a"]["bias"]) != 0)


@pytest.mark.slow
@pytest.mark.usefixtures("fresh_optimisers")
def test_a_pruned_network_and_one_with_early_exits_run(tmp_path, capsys):
    load(FOLDER / "pruning.py").main(fast=True, workdir=tmp_path / "pruning")
    load(FOLDER / "early_exit.py").main(fast=True, workdir=tmp_path / "exit")
    printed = capsys.readouterr().out
    assert "| weights kept, % |" in printed and "| answered by the table alone, % |" in printed
    for picture in ("pruning_fast/pruning.png", "exit_fast/early_exit.png"):
        assert (tmp_path / picture).stat().st_size > 5000


@pytest.mark.slow
def test_several_tasks_are_learned_for_a_few_steps(tmp_path, capsys, monkeypatch):
    multitask = load(FOLDER / "digits_multitask.py")
    monkeypatch.setattr(multitask, "METHODS", {"pc_grad": mmjax.balance.PcGrad()})
    monkeypatch.setattr(multitask, "LABELLED", (0.1,))
    multitask.main(fast=True, steps=6, workdir=tmp_path / "tasks")
    assert "| pc_grad |" in capsys.readouterr().out


@pytest.mark.slow
def test_a_search_learns_from_made_up_choices(tmp_path, capsys):
    preference = load(FOLDER / "digits_preference.py")
    preference.main(fast=True, workdir=tmp_path / "preference")
    assert "| 50 | " in capsys.readouterr().out
    with (tmp_path / "preference" / "choices-50-0.csv").open() as file:
        assert len(file.readlines()) == 1 + 50 + 40


@pytest.fixture
def spoken(monkeypatch):
    """Silence of some lengths instead of recordings, and random pictures."""
    rng = np.random.default_rng(0)
    rows = {
        "audio": np.array(
            [rng.integers(-99, 99, 300 + i).astype(np.int16) for i in range(60)], object
        ),
        "label": np.arange(60) % 10,
        "speaker": np.array([[b"theo", b"lucas"][i % 20 // 10] for i in range(60)]),
        "image": rng.integers(0, 256, (60, 8, 8, 1)).astype(np.uint8),
    }
    kept = lambda builder, split, **places: rows  # noqa: E731
    monkeypatch.setattr(storage, "columns", kept)
    monkeypatch.setattr(storage, "prepare", lambda builder, **places: None)
    assert fsdd.Fsdd
    return rows


def test_a_held_out_speaker_is_tested_on_and_never_heard(spoken):
    data = mmjax.data.SpokenDigit(held_out="theo")
    heard, tested = (data.source(split) for split in ("train", "test"))
    theo = {len(a) for a, s in zip(spoken["audio"], spoken["speaker"], strict=True) if s == b"theo"}
    for source, expected in ((heard, False), (tested, True)):
        rows = source.read(np.arange(len(source)), None).inputs["speech"]
        assert {len(row) in theo for row in rows} == {expected}
    assert len(tested) == 3 * len(heard)  # the recordings of all three splits


def test_a_picture_and_a_recording_are_of_one_digit(spoken):
    source = mmjax.data.SpokenDigit().source("train")
    for rng in (None, np.random.default_rng(0)):
        examples = source.read(np.arange(60), rng)
        for image, name in zip(examples.inputs["image"], examples.targets["digit"], strict=True):
            digit = mmjax.data.datasets.digits_match.NAMES.index(name)
            assert any(np.array_equal(image, spoken["image"][i]) for i in range(digit, 60, 10))


def test_noise_has_the_stated_strength_and_never_changes(spoken):
    clean = mmjax.data.SpokenMatch()
    loud = dataclasses.replace(clean, speech_noise=0.0, image_noise=0.2)
    (before, _), (after, _), (again, _) = (d.recordings("test") for d in (clean, loud, loud))
    noise = np.concatenate([b.astype(float) - a for a, b in zip(before, after, strict=True)])
    power = np.mean(np.concatenate(before).astype(float) ** 2)
    np.testing.assert_allclose(np.mean(noise**2), power, rtol=0.05)
    assert all(np.array_equal(a, b) for a, b in zip(after, again, strict=True))
    images = loud.columns("test")[0].astype(float) - clean.columns("test")[0]
    inner = (clean.columns("test")[0] > 110) & (clean.columns("test")[0] < 146)
    np.testing.assert_allclose(images[inner].std(), 0.2 * 255, rtol=0.15)


def test_a_share_of_the_recordings_has_a_digit(spoken):
    data = mmjax.data.SpokenDigit(labelled=0.34)
    source = data.source("train")
    digits = source.read(np.arange(60), None).targets["digit"]
    assert sum(name is not None for name in digits) == 20
    assert data.preprocessing().targets["digit"].counts == (2,) * 10
    assert None not in data.source("test").read(np.arange(60), None).targets["digit"]


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"image_noise": -1.0}, "image_noise: expected 0 or more"),
        ({"labelled": 0.0}, "labelled: expected more than 0"),
    ],
)
def test_what_cannot_be_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        mmjax.data.SpokenDigit(**fields)


@pytest.mark.slow
@pytest.mark.usefixtures("fresh_registry")
def test_knowledge_moves_for_a_few_steps(spoken, tmp_path, capsys):
    transfer = load(FOLDER / "transfer_table.py")
    transfer.main(tmp_path, tmp_path, fast=True, steps=4, workdir=tmp_path / "transfer")
    printed = capsys.readouterr().out
    assert printed.count("| distilled, features |") == 2 == printed.count("| adapters |")


@pytest.mark.usefixtures("fresh_registry")
def test_a_network_for_each_person_who_is_not_heard():
    transfer = load(FOLDER / "transfer_table.py")
    found = transfer.cases(None, Path("x"), 5, ("theo", "lucas"))
    assert [case.target(0.1).held_out for case in found.values()] == ["theo", "lucas"]
    assert [case.source.held_out for case in found.values()] == ["theo", "lucas"]
    cells = {(name, share): [0.5, 0.7] for name in transfer.METHODS for share in (0.01, 1.0)}
    lines = transfer.table("x", cells).splitlines()
    assert lines[0] == "| x | 1% of the labels | 100% of the labels |"
    assert lines[2] == "| scratch | 60.0 ± 14.1 | 60.0 ± 14.1 |" and len(lines) == 2 + 7


@pytest.mark.slow
def test_digits_are_seen_and_heard_for_a_few_steps(spoken, tmp_path, capsys, monkeypatch):
    digits = load(FOLDER / "spoken_digits.py")
    monkeypatch.setattr(digits, "FUSIONS", {"gated": mmjax.fusion.Gated()})
    monkeypatch.setattr(digits, "SPEAKERS", ("theo",))
    digits.main(tmp_path, fast=True, steps=4, workdir=tmp_path / "digits")
    printed = capsys.readouterr().out
    for column in ("clean", "speech noise -5 dB", "without speech", "late fusion"):
        assert column in printed


def test_of_one_seed_the_spread_is_that_of_folds():
    study = load(FOLDER / "study.py")
    folds = [{"concat": {"all": [share]}} for share in (0.5, 0.7)]
    assert study.by_fold(folds) == {"concat": {"all": [0.5, 0.7]}}
    assert study.markdown(study.by_fold(folds)).endswith("| concat | 60.0 ± 14.1 |")
    assert study.markdown(study.over_folds(folds)[0]).endswith("| concat | 60.0 |")


def test_processes_have_cores_of_their_own_or_one_thread(monkeypatch):
    at_once = importlib.import_module("at_once")
    two = at_once.cores()[:2]
    if len(two) < 2:
        pytest.skip("one core")
    monkeypatch.setattr(at_once, "cores", lambda: two)
    assert list(at_once.at_once(abs, [-1])) == [1], "one job needs no process"
    shares = list(at_once.at_once(os.sched_getaffinity, [0] * 4))
    assert len(shares) == 4 and all(len(share) == 1 for share in shares)
    flags = list(at_once.at_once(os.getenv, ["XLA_FLAGS"] * 3))
    assert len(flags) == 3 and all("multi_thread_eigen=false" in flag for flag in flags)


@pytest.mark.slow
def test_models_that_are_trained_at_once_are_those_trained_one_after_the_other(
    tmp_path, monkeypatch, capsys
):
    study = importlib.import_module("study")
    one = study.Study(
        data=mmjax.data.Planted(task="unique", test_size=64),
        encoders={name: mmjax.encoders.Features(dim=4) for name in ("touch", "vision")},
        head=mmjax.heads.Logit(),
        objective=mmjax.objectives.BinaryCrossEntropy(output="label", target="label"),
        metric="accuracy",
        fusions={"concat": mmjax.fusion.Concat()},
        steps=4,
    )
    after = study.run(one, tmp_path / "after", 2)
    monkeypatch.setattr(study, "LONG", 1)
    capsys.readouterr()
    assert study.run_all({tmp_path / "once": one}, 2) == [after]
    printed = capsys.readouterr().out
    assert "trained 4 of 4: once, " in printed and "step" not in printed


def test_late_fusion_is_weighed_by_the_validation_split():
    study = load(FOLDER / "study.py")
    rng = np.random.default_rng(0)
    truth = {split: rng.integers(0, 2, 200) for split in ("validation", "all")}
    splits = {
        split: study._Split(
            mmjax.Batch(
                {},
                {"y": mmjax.Masked(labels.astype(np.int32), np.ones(200, bool))},
                np.ones(200, np.float32),
                np.arange(200),
            ),
            None,
        )
        for split, labels in truth.items()
    }
    one = study.Study(
        data=None,
        encoders={"good": None, "bad": None},
        head=None,
        objective=mmjax.objectives.SoftmaxCrossEntropy(output="y", target="y"),
        metric="accuracy",
        fusions={},
    )
    good = {(s, None): np.eye(2, dtype=np.float32)[labels] for s, labels in truth.items()}
    bad = {key: -3 * values for key, values in good.items()}
    found = study._late(one, splits, (good, bad))
    assert found["all"] == 1.0 and found["without good"] == 0.0 and found["without bad"] == 1.0
