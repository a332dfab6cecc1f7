"""Which models are tried on a table, and which one is kept."""

import math

import pytest

from mmjax.assemble.search import FUSIONS, Search, Trained
from mmjax.data.tables import columns as kinds
from tests.data.tables.made import made, splits


@pytest.mark.parametrize("target, better", [("good", max), ("weight", min)])
def test_every_modality_alone_and_every_fusion_is_tried_and_the_best_is_trained_twice_as_long(
    tmp_path, monkeypatch, target, better
):
    rows = [
        {"text": f"a {i}", "age": i, "good": i % 2, "weight": i / 7, "split": split}
        for i, split in enumerate(splits(60))
    ]
    columns = {"text": kinds.TextColumn(), "table": kinds.TableColumn(("age",))}
    columns[target] = kinds.BinaryColumn() if target == "good" else kinds.NumberColumn()
    data = made(tmp_path, rows, columns, split="split")
    values = {"only text": 0.5, "late": math.nan, "gated": better(0.1, 0.9)}

    def trained(self, name, experiment, say):
        return Trained(name, tmp_path, values.get(name, 0.6), {}, experiment)

    monkeypatch.setattr(Search, "_steps", lambda *_: 20)
    monkeypatch.setattr(Search, "_trained", trained)
    found = Search(data, tmp_path).run(1.0, print)
    assert {one.name for one in found} == {
        *("only text", "only table", "gated, twice as long", *FUSIONS)
    }
    assert found[0].name == "gated" and found[-1].name == "late", "NaN is worst"
    assert next(one for one in found if "twice" in one.name).experiment.steps == 40
    (alone,) = (one.experiment for one in found if one.name == "only text")
    assert list(alone.model.encoders) == ["text"] and alone.data.modalities == ("text",)
