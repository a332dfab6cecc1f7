"""A run that somebody else made runs no code, and leads nowhere out of its folder."""

import dataclasses
import json
import os
import pickle
import shutil
from pathlib import Path

import pytest

from mmjax.config import storage
from mmjax.data.datasets import TableData
from mmjax.data.tables import columns
from mmjax.evaluation.evaluate import evaluate
from mmjax.io import json_file
from mmjax.runs import checkpoint_reader
from mmjax.runs.restore import restore
from mmjax.train.loop.fit import fit
from tests.config.experiments import small
from tests.faults import hostile, untrusted
from tests.faults.kinds import Kind

STRIDE = 5  # of the files with code in their place; all of them take 12 s


@pytest.fixture(scope="module")
def good(finished, tmp_path_factory):
    """A run without what is not read to restore it."""
    run = tmp_path_factory.mktemp("good") / "run"
    shutil.copytree(finished[0], run, ignore=shutil.ignore_patterns("4", "training"))
    return run


@pytest.fixture
def run(good, tmp_path, monkeypatch):
    """A copy, and the current folder beside it."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return Path(shutil.copytree(good, tmp_path / "run"))


@pytest.fixture(scope="module")
def outcome(good, tmp_path_factory):
    """What becomes of a run in a process that is watched, where a module waits to be imported."""
    modules = tmp_path_factory.mktemp("modules")
    (modules / f"{untrusted.CANARY}.py").write_text(untrusted.CODE)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(modules)
        read = hostile.Reader({"run": untrusted.kind(good), "fault": FAULTY})
        yield lambda run, kind="run": read(kind, run / "config.json")
    # Of the fault that imports it.
    Path(untrusted.EXECUTED).rmdir()


def faulty(path):
    """Stands for a reader that does what none should."""
    match path.read_text():
        case "import":
            __import__(untrusted.CANARY)
        case "unpickle":
            pickle.loads(pickle.dumps(os.getcwd))
        case "execute":
            exec("pass")
        case "write":
            path.write_text("x")


def _nothing():
    return [b""]


FAULTY = Kind("config.json", _nothing, faulty)


def outcomes(plants, run, good, outcome):
    found = {}
    for name, plant in plants:
        shutil.rmtree(run)
        shutil.copytree(good, run)
        plant(run)
        found[name] = outcome(run)
    return found


def test_code_in_the_place_of_any_file_is_not_run(run, good, outcome):
    plants = list(untrusted.contents(good))
    assert len(untrusted.CONTENTS) == 6  # which 5 does not divide: each kind of code has its turn
    found = outcomes(plants[::STRIDE], run, good, outcome)
    assert not {name: what for name, what in found.items() if what not in ("legal", "error")}
    assert not Path(untrusted.EXECUTED).exists()
    assert set(found.values()) == {"legal", "error"}


def test_no_name_in_any_file_is_imported_or_followed(run, good, outcome):
    found = outcomes(untrusted.names(good), run, good, outcome)
    assert not {name: what for name, what in found.items() if what not in ("legal", "error")}
    named = f"{untrusted.CANARY}.Thing as"
    assert found[f"{named} type of config.json"] == "error"
    assert found[f"{named} type of preprocessing.json"] == "error"
    assert found[f"{named} key of checkpoints/6/variables/_METADATA"] == "error"
    assert found[f"{named} record of checkpoints/6/_CHECKPOINT_METADATA"] == "legal"


@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        ("import", f"import ('{untrusted.CANARY}'"),
        ("unpickle", "pickle.find_class ('"),
        ("execute", "exec ("),
        ("write", "open ('"),
    ],
)
def test_code_that_runs_is_noticed(run, outcome, fault, seen):
    """The proof of the proofs above."""
    (run / "config.json").write_text(fault)
    assert outcome(run, "fault").startswith(seen)


LINKS = [
    "config.json",
    "preprocessing.json",
    "metrics.jsonl",
    "checkpoints",
    "checkpoints/6",
    "checkpoints/6/variables",
    "checkpoints/6/variables/manifest.ocdbt",
    "checkpoints/6/record/metadata",
]


@pytest.mark.parametrize("part", LINKS)
def test_links_out_of_the_folder_are_not_followed(run, part):
    untrusted.moved_out(part)(run)
    with pytest.raises(ValueError, match=rf"{part}: leads out of the run's folder, to .*outside"):
        restore(run)


def test_a_training_writes_through_no_link(run):
    """The lock is the first file that it opens."""
    experiment = storage.load(run / "config.json")
    (run.parent / "precious").write_text("x")
    (run / ".lock").unlink()
    (run / ".lock").symlink_to(run.parent / "precious")
    with pytest.raises(ValueError, match=r"\.lock: leads out of the run's folder"):
        fit(experiment, run)
    assert (run.parent / "precious").read_text() == "x"


def test_links_within_the_folder_and_to_it_are_followed(run, outcome):
    (run / "checkpoints").rename(run / "moved")
    (run / "checkpoints").symlink_to("moved")
    (run.parent / "link").symlink_to(run)
    assert outcome(run.parent / "link") == "legal"


@pytest.mark.parametrize("part", ["preprocessing.json", "checkpoints/6/record/metadata"])
def test_nobody_waits_for_a_pipe(run, part):
    untrusted.pipe(part)(run)
    with pytest.raises(ValueError, match=rf"{part}: is neither a file nor a folder"):
        restore(run)


def test_an_array_elsewhere_is_not_read(run):
    untrusted.array_outside(run, 6)
    with pytest.raises(
        checkpoint_reader.DamagedError, match=r"outside/array' leads out of the checkpoint"
    ):
        checkpoint_reader.arrays(run, 6, "variables")


def renamed(run, **fields):
    """The run says that its data lies elsewhere."""
    content = json_file.parse(run / "config.json")
    content["data"] |= fields
    (run / "config.json").write_text(json.dumps(content | {"checksum": None}))


def test_to_evaluate_a_run_writes_nothing_where_the_run_says(run):
    away = run.parent / "away"
    renamed(run, data_dir=str(away))
    with pytest.raises(FileNotFoundError, match=r"away/mmjax_digits.* --data-dir"):
        evaluate(run)
    assert not away.exists()


def test_to_evaluate_a_run_writes_no_report_or_shards_where_the_run_says(run, monkeypatch):
    rows = "".join(f"a,1,{split}\nb,no,{split}\n" for split in ("train", "validation", "test"))
    (run.parent / "here" / "rows.csv").write_text("text,match,split\n" + rows)
    found = {"text": columns.TextColumn(), "match": columns.BinaryColumn()}
    data = TableData(columns=found, split="split", on_bad_row="skip")
    away = str(run.parent / "new")
    data = dataclasses.replace(data, report=away, prepared=away, memory=0.0)
    config = storage.to_json(dataclasses.replace(small(), data=data))
    (run / "config.json").write_text(json.dumps(config | {"checksum": None}))
    (run / "data.json").unlink()  # these are others than it was trained on
    monkeypatch.setenv("HOME", str(run.parent / "home"))
    evaluate(run)
    assert not (run.parent / "new").exists() and (run.parent / "home").exists()
