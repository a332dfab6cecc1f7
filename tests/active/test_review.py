"""From questions to a fine-tuned run that replaces the old one, or is refused."""

import contextlib
import csv
import hashlib
import io
import json
import shutil

import jax
import numpy as np
import pytest

import mmjax
from mmjax.active.offers import Choice, open_reader
from mmjax.active.reader import Reader
from mmjax.active.tuning import Review
from mmjax.cli.review import review
from mmjax.data.datasets import Planted, Reviewed
from mmjax.data.targets import Binary
from mmjax.errors import UserError
from mmjax.heads import Logit
from mmjax.runs import folder

pytestmark = pytest.mark.usefixtures("standard_promotion")


def content(path):
    return {
        one.relative_to(path): hashlib.sha256(one.read_bytes()).hexdigest()
        for one in path.rglob("*")
        if one.is_file()
    }


def written(path, offers, truth, wrong=()):
    """Answers to the offered rows; those to the rows in `wrong` are not true."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["row", "mark", "answer"])
        for one in offers:
            true = truth[one["row"]]
            lie = "red" if true != "red" else "blue"
            writer.writerow([one["row"], one["mark"], lie if one["row"] in wrong else true])
    return path


@pytest.fixture(scope="module")
def offered(coloured):
    """What the command offers of the whole table, as JSON."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()) as err:
        review(coloured[0], str(coloured[1]), count=99, twins=0.0, strategy="entropy", json=True)
    return [json.loads(line) for line in out.getvalue().splitlines()], err.getvalue()


def test_the_least_sure_rows_come_first_and_examples_of_the_test_split_are_not_asked(
    coloured, offered
):
    run, _, truth = coloured
    rows, said = offered
    assert {one["row"] for one in rows} == set(truth)
    assert "are examples of the validation or test split, and not offered: 3" in said
    entropies = [-sum(p * np.log(p) for p in one["probabilities"].values() if p) for one in rows]
    assert entropies == sorted(entropies, reverse=True)
    predicted = mmjax.Predictor(run)([{"words": "red", "image": None}])[0]["colour"]
    p = open_reader(run)([{"words": "red"}]).p[0]
    np.testing.assert_allclose(p, [*predicted["probabilities"].values()], atol=1e-6)
    assert all(one["guess"] == next(iter(one["probabilities"])) for one in rows)


def test_vectors_are_what_the_last_layer_reads_and_passes_differ_by_dropout_alone(coloured):
    reader = open_reader(coloured[0])
    rows = [{"words": word} for word in ("red", "blue", None)]
    seen, again = reader(rows, passes=3), reader(rows, passes=3)
    last = reader.variables["params"]["heads_colour"]["Mlp_0"]["Dense_1"]
    logits = seen.vectors @ last["kernel"] + last["bias"]
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(seen.p, p, atol=1e-6)
    assert np.ptp(seen.passes, axis=0).max() > 1e-3
    np.testing.assert_array_equal(seen.passes, again.passes)


def test_what_cannot_be_reviewed_is_refused(coloured, tmp_path):
    run, table, _ = coloured
    with pytest.raises(UserError, match="--objective size: expected one that chooses a class"):
        open_reader(run, "size")
    with pytest.raises(UserError, match="--strategy best: choose from least_confidence"):
        Choice(strategy="best")
    with pytest.raises(UserError, match="--html, --answers, --json: choose one of them"):
        review(run, str(table), html=tmp_path / "a.html", json=True)


def test_yes_or_no_are_two_classes_and_dropout_is_needed_for_passes(coloured):
    reader, model = open_reader(coloured[0]), folder.require(coloured[0]).model
    objectives = {"colour": mmjax.objectives.BinaryCrossEntropy(output="colour", target="match")}
    kinds = mmjax.data.Preprocessing(reader.preprocessing.transforms, {"match": Binary()})
    several = model.clone(heads={"colour": Logit(labels=3)})
    with pytest.raises(UserError, match="choose from none, which this run has"):
        Reader(several, {}, kinds, objectives)
    model = model.clone(heads={"colour": Logit(hidden=())})
    inputs = kinds({"words": ["red"], "image": [None]})
    variables = model.init(jax.random.key(0), inputs, train=False)
    reader = Reader(model, variables, kinds, objectives)
    logit = model.apply(variables, inputs, train=False).values["colour"][0]
    assert reader.names == ["no", "yes"]
    yes = 1 / (1 + np.exp(-logit))
    np.testing.assert_allclose(reader([{"words": "red"}]).p, [[1 - yes, yes]], atol=1e-6)
    with pytest.raises(UserError, match=r"has no dropout.*--model\.heads\.colour\.dropout 0\.3"):
        reader([{"words": "red"}], passes=2)


@pytest.mark.slow
def test_true_answers_make_a_new_current_run_and_lies_are_refused(
    coloured, offered, tmp_path, capsys
):
    run, table, truth = coloured
    before, rows, home = content(run), offered[0][:30], tmp_path / "review"
    ann = written(tmp_path / "ann.csv", rows, truth)
    ben = written(tmp_path / "ben.csv", rows[:10], truth, wrong={rows[0]["row"]})
    told = dict(out=home, steps=20, margin=0.0)
    review(run, str(table), answers=(ann, ben), **told)
    shown = capsys.readouterr().out
    assert "29 answered rows; 10 by several people, who differ on 1\n" in shown
    lie, true = ("blue" if truth[rows[0]["row"]] == "red" else "red"), truth[rows[0]["row"]]
    assert f"row {rows[0]['row']}, left out: ann {true}, ben {lie}" in shown
    assert f"current: {home / 'round-1'}" in shown
    assert Review(home, run).current == home / "round-1" == Review(home, run).best
    data = folder.require(home / "round-1").data
    assert isinstance(data, Reviewed) and data.facts()["answered"] == 29
    # Lies by somebody who is believed, learned fast: the model is refused and nothing changes.
    cid = written(tmp_path / "cid.csv", rows, truth, wrong={one["row"] for one in rows})
    with pytest.raises(UserError, match=r"worse by more than --margin 0 .* still .*round-1"):
        review(run, str(table), answers=(cid,), prefer="cid", rate=3.0, share=0.9, **told)
    found = Review(home, run)
    assert [one.kept for one in found.rounds] == [True, False]
    assert found.current == home / "round-1" and (home / "refused-2").is_dir()
    assert content(run) == before
    # What was answered is not asked again.
    capsys.readouterr()
    review(run, str(table), out=home, count=99, twins=0.0, json=True)
    again = {json.loads(line)["row"] for line in capsys.readouterr().out.splitlines()}
    assert again == set(truth) - {one["row"] for one in rows}
    with pytest.raises(UserError, match="expected a new folder, or the one of a review"):
        Review(run, run)
    shutil.copytree(run, tmp_path / "other")
    with pytest.raises(UserError, match="is a review of"):
        Review(home, tmp_path / "other")


def test_the_terminal_keeps_answers_without_training_and_goes_on_later(
    coloured, tmp_path, capsys, monkeypatch
):
    run, table, _ = coloured
    monkeypatch.setattr("sys.stdin", io.StringIO("red\n\nq\n"))
    review(run, str(table), out=tmp_path / "r", person="ann", rounds=0, count=5, strategy="badge")
    given = Review(tmp_path / "r", run).answers()
    assert len(given) == 2 and given[0].answer == "red" and given[1].by == "ann"
    assert "red" in capsys.readouterr().out


def test_answers_to_a_table_that_has_changed_are_refused(coloured, offered, tmp_path):
    run, table, truth = coloured
    path = written(tmp_path / "a.csv", offered[0][:2], truth)
    own = {"run": folder.require(run).data}
    data = Reviewed(own, str(table), str(path), "colour")
    data.prepare()
    path.write_text(path.read_text().replace(offered[0][0]["mark"], "other"))
    with pytest.raises(UserError, match=rf"new.csv:{offered[0][0]['row']}: is not the row that"):
        Reviewed(own, str(table), str(path), "colour").prepare()
    path.write_text("row,mark,answer\n999,m,red\n")
    with pytest.raises(UserError, match="has no row 999, which"):
        Reviewed(own, str(table), str(path), "colour").prepare()
    path.write_text("row,mark,answer\n2,m,pink\n")
    with pytest.raises(UserError, match=r"a.csv:2: row 0: no training example is of the class"):
        Reviewed(own, str(table), str(path), "colour").prepare()


def test_the_training_draws_answers_and_replays_in_their_shares(coloured, offered, tmp_path):
    run, table, truth = coloured
    path = written(tmp_path / "a.csv", offered[0][:3], truth)
    own = folder.require(run).data
    data = Reviewed({"run": own}, str(table), str(path), "colour", share=0.4)
    source = data.source("train")
    read = source.read(np.arange(len(source)), np.random.default_rng(0))
    replayed = len(own.source("train"))
    assert len(source) == replayed + 3 and np.mean(np.arange(len(source)) >= 0.6 * len(source))
    colours = read.targets["colour"][round(0.6 * len(source)) :]
    assert len(colours) == round(0.4 * len(source))
    assert set(colours) == {truth[one["row"]] for one in offered[0][:3]}
    for split in ("validation", "test"):
        assert len(data.source(split)) == len(own.source(split))
    assert data.preprocessing() == own.preprocessing() and data.shares_rows
    assert data.facts()["digest"] != own.facts()["digest"]


def test_an_incomplete_configuration_is_refused():
    with pytest.raises(UserError, match=r"data\.share: expected a number between 0 and 1"):
        Reviewed(share=1.0)
    with pytest.raises(UserError, match=r"data\.run: expected one data set, got"):
        Reviewed().source("train")
    with pytest.raises(FileNotFoundError, match=r"data\.table .*: expected a file, got none"):
        Reviewed({"a": Planted()}, "no.csv", "no.csv", "label").source("train")
