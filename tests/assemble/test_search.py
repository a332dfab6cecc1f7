"""Which models are tried on a table, and which one is kept."""

import math

import pytest

from mmjax.assemble.outcome import Look, Trained
from mmjax.assemble.search import FUSIONS, Pace, Search
from mmjax.data.tables import columns as kinds
from mmjax.encoders import Lstm
from tests.data.tables.made import made, splits


@pytest.mark.parametrize("stop, again", [(40, 50), (6, 6)])
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
        peak = (better(0.0, 1.0), stop) if name == "gated" else (last, 40)
        looks = (Look(peak[1], peak[0], 1.0), Look(40, last, 1.0))
        return Trained(name, tmp_path, looks, {}, experiment)

    monkeypatch.setattr(Search, "_pace", lambda _: Pace(step=1.0, look=0.1, rest=0.0))
    monkeypatch.setattr(Search, "_trained", trained)
    found = Search(data, tmp_path).run(1.0, print)
    more = f"gated, {again} steps"
    ordered = "concat, words in order"
    assert {one.name for one in found} == {"only text", "only table", more, ordered, *FUSIONS}
    assert found[0].name == "gated" and found[-1].name == "late", "NaN is worst"
    (longer,) = (one.experiment for one in found if one.name == more)
    assert longer.steps == again, "to its best step, or as long as a minute allows"
    (alone,) = (one.experiment for one in found if one.name == "only text")
    assert list(alone.model.encoders) == ["text"] and alone.data.modalities == ("text",)
    heads = {one.name: one.experiment.model.heads[target] for one in found}
    assert {name for name, head in heads.items() if not head.hidden} == {"late"}
    texts = {one.name: one.experiment.model.encoders.get("text") for one in found}
    recurrent = {name for name, encoder in texts.items() if isinstance(encoder, Lstm)}
    assert recurrent == {ordered}, "one model reads the words in their order"


def test_a_training_takes_its_share_of_the_time():
    pace = Pace(step=0.1, look=2.0, rest=5.0)
    steps, looks = pace.plan(105.0, 10_000)
    assert looks == 10 and steps == 820, "82 of 100 s, and 9 more validations of 2"
    assert pace.plan(25.0, 10_000) == (180, 2), "validations take a quarter at most"
    assert pace.plan(1.0, 10_000)[0] == 40 and pace.plan(1000.0, 100) == (100, 10)


def test_of_accuracies_that_few_rows_cannot_tell_apart_the_least_loss_is_the_best(tmp_path):
    rows = [{"age": i, "kind": "ab"[i % 2], "split": split} for i, split in enumerate(splits(60))]
    columns = {"table": kinds.TableColumn(("age",)), "kind": kinds.ClassColumn()}
    search = Search(made(tmp_path, rows, columns, split="split"), tmp_path)
    assert search.answer.metric == "kind/accuracy" and search._validated == 12
    # A standard error is 0.14.
    looks = [Look(1, 0.5, 2.0), Look(2, 0.4, 0.5), Look(3, 0.3, 0.1), Look(4, math.nan, 0.0)]
    assert search._best(looks, lambda look: look).step == 2
    search._validated = 1000
    assert search._best(looks, lambda look: look).step == 1
