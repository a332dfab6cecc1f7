"""A run knows its data: others are refused, or said."""

import dataclasses
import json

import pytest

from mmjax.data.datasets import TableData
from mmjax.data.tables import columns as kinds
from mmjax.encoders import Lstm
from mmjax.errors import UserError
from mmjax.evaluation.evaluate import evaluate
from mmjax.models.multimodal import Multimodal
from mmjax.runs import facts
from mmjax.train.loop.fit import fit
from tests.config.experiments import SMALL, small
from tests.data.tables.made import splits, write

pytestmark = pytest.mark.usefixtures("standard_promotion")


def rows(turned=False):
    return [
        {"text": f"cup {i % 7}", "match": (i + turned) % 2, "split": split}
        for i, split in enumerate(splits(40))
    ]


def experiment(data, **changes):
    model = Multimodal(
        encoders={"text": Lstm(100, 4, 8)}, fusion=SMALL.model.fusion, heads=SMALL.model.heads
    )
    return small(model=model, data=data, devices=1, batch_size=8, **changes)


@pytest.fixture
def data(tmp_path):
    """A table of texts."""
    (tmp_path / "data").mkdir()
    write(tmp_path / "data" / "rows.csv", rows())
    columns = {"text": kinds.TextColumn(), "match": kinds.BinaryColumn()}
    return TableData(data_dir=str(tmp_path / "data"), columns=columns, split="split")


def test_other_data_are_refused_when_a_run_goes_on_and_said_where_they_are_allowed(
    tmp_path, data, monkeypatch
):
    """R2: all labels turned over, and eight rows dropped."""
    run = tmp_path / "run"
    said = []
    monkeypatch.setattr("mmjax.train.loop.fit._say", said.append)
    fit(experiment(data, steps=2), run)
    stored = json.loads((run / facts.FILE).read_text())
    assert stored["rows"] == {"train": 24, "validation": 8, "test": 8}
    (run / "results.json").unlink()
    write(tmp_path / "data" / "rows.csv", rows(turned=True))
    changed = dataclasses.replace(data)
    with pytest.raises(UserError, match=r"as many rows, but others.*go on with --changed-data"):
        fit(experiment(changed, steps=2), run)
    write(tmp_path / "data" / "rows.csv", rows(turned=True)[8:])
    changed = dataclasses.replace(data)
    with pytest.raises(UserError, match=r"train: 24 rows then, 18 now; validation: 8 rows then, 7"):
        fit(experiment(changed, steps=2), run)
    assert json.loads((run / facts.FILE).read_text()) == stored

    assert not said, "the errors say it"
    fit(experiment(changed, steps=2, changed_data=True), run)
    assert said[0].startswith("the data have changed since this run began: train: 24")
    assert json.loads((run / "results.json").read_text())["data_changed"][0].startswith("train: 24")
    after = json.loads((run / facts.FILE).read_text())
    assert after["digest"] == stored["digest"], "the run still knows what it began with"


def test_other_data_of_the_same_name_are_not_evaluated_on_unless_they_are_named(
    tmp_path, data, monkeypatch, capsys
):
    """R3."""
    run, here = tmp_path / "run", dataclasses.replace(data, data_dir=None)
    monkeypatch.chdir(tmp_path / "data")
    metrics = fit(experiment(here, steps=2), run)
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    with pytest.raises(UserError, match=r"other/rows\.csv: .* no such file; .*--data-dir"):
        evaluate(run)
    write(tmp_path / "other" / "rows.csv", rows(turned=True))
    with pytest.raises(UserError, match=r"not those that .*run was trained on: .*--data-dir names"):
        evaluate(run)
    assert evaluate(run, data_dir=str(tmp_path / "data")) == metrics
    assert "not those" not in capsys.readouterr().err
    turned = evaluate(run, data_dir=str(tmp_path / "other"))
    assert turned["match/accuracy"] == pytest.approx(1 - metrics["match/accuracy"])
    assert "the data are not those that" in capsys.readouterr().err


def test_a_run_that_does_not_know_its_data_is_taken_as_it_is(tmp_path):
    assert facts.changes(tmp_path, {"rows": {"train": 1}}) == []
    assert facts.changed_since(tmp_path) == []
