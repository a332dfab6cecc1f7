"""Which models are tried on a table, and which one is kept."""

import math

import pytest

from mmjax.assemble.search import FUSIONS, Search, Trained
from mmjax.data.tables import columns as kinds
from mmjax.encoders import Lstm
from tests.data.tables.made import made, splits


@pytest.mark.parametrize("stop, again", [(20, "twice as long"), (6, "6 steps")])
@pytest.mark.parametrize("target, better", [("good", max), ("weight", min)])
def test_every_modality_alone_and_every_fusion_is_tried_and_the_best_is_trained_once_more(
    tmp_path, monkeypatch, target, better, stop, again
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
        last = values.get(name, 0.6)
        peak = (better(0.0, 1.0), stop) if name == "gated" else (last, 20)
        return Trained(name, tmp_path, last, peak, {}, experiment)

    monkeypatch.setattr(Search, "_steps", lambda *_: 20)
    monkeypatch.setattr(Search, "_trained", trained)
    found = Search(data, tmp_path).run(1.0, print)
    more = f"gated, {again}"
    ordered = "concat, words in order"
    assert {one.name for one in found} == {"only text", "only table", more, ordered, *FUSIONS}
    assert found[0].name == "gated" and found[-1].name == "late", "NaN is worst"
    (longer,) = (one.experiment for one in found if one.name == more)
    assert longer.steps == {20: 40, 6: 6}[stop]
    (alone,) = (one.experiment for one in found if one.name == "only text")
    assert list(alone.model.encoders) == ["text"] and alone.data.modalities == ("text",)
    texts = {one.name: one.experiment.model.encoders.get("text") for one in found}
    recurrent = {name for name, encoder in texts.items() if isinstance(encoder, Lstm)}
    assert recurrent == {ordered}, "one model reads the words in their order"
