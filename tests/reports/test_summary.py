import dataclasses
import math
import shutil

import pytest

from mmjax.config import storage
from mmjax.fusion import Sum
from mmjax.io import json_file
from mmjax.reports.summary import summarise
from tests.config.experiments import SMALL, small


def fake(folder, experiment, accuracy):
    folder.mkdir()
    storage.save(folder / "config.json", experiment)
    results = {"metrics": {"match/accuracy": accuracy}, "parameters": 1234, "training_minutes": 2.0}
    json_file.write(folder / "results.json", results)
    return folder


def test_seeds_share_a_row_and_columns_show_what_differs(tmp_path):
    network = dataclasses.replace(SMALL.model, fusion=Sum())
    runs = [
        fake(tmp_path / f"a{seed}", small(seed=seed), value)
        for seed, value in enumerate((0.5, 0.7))
    ]
    runs.append(fake(tmp_path / "b", small(model=network, devices=2), 0.9))
    (tmp_path / "trainings.json").write_text("{}")  # no run, and passed over
    header, rows = summarise([*runs, tmp_path / "trainings.json"], "match/accuracy")
    assert header[-6:] == ["seeds", "match/accuracy", "std", "lowest", "minutes", "parameters"]
    assert "model.fusion.type" in header and "seed" not in header and "devices" not in header
    assert [row[-6:] for row in rows] == [
        ["2", "0.6000", "0.1414", "0.5000", "2.0", "1,234"],
        ["1", "0.9000", "-", "0.9000", "2.0", "1,234"],
    ]
    assert rows[1][header.index("model.fusion.type")] == "fusion/sum"


def test_a_run_that_has_not_ended_and_an_unknown_metric_are_refused(finished, tmp_path):
    run, _ = finished
    with pytest.raises(ValueError, match="name at least one run"):
        summarise([], "match/accuracy")
    with pytest.raises(ValueError, match=r"no metric 'score'; choose from .*match/auroc"):
        summarise([run], "score")
    shutil.copy(run / "config.json", tmp_path)
    with pytest.raises(ValueError, match=r"has no results\.json: its training has not ended"):
        summarise([tmp_path], "match/accuracy")


def test_a_metric_that_is_not_defined_is_shown_as_such(tmp_path):
    """AUROC of one class, say: JSON has no NaN."""
    _, rows = summarise([fake(tmp_path / "a", SMALL, math.nan)], "match/accuracy")
    assert "null" in (tmp_path / "a" / "results.json").read_text() and rows[0][1] == "nan"
