"""Runs on the same examples, made of one trained run and one that has hardly begun."""

import csv
import dataclasses
import itertools
import json
import shutil

import jax
import numpy as np
import pytest

import mmjax
from mmjax.cli.compare import compare as command
from mmjax.config import storage
from mmjax.errors import UserError
from mmjax.metrics.retrieval import summary_of
from mmjax.reports import contrast, contrast_page
from mmjax.reports.contrast import Contrast, Method, Pair, compare
from mmjax.reports.task import Task
from mmjax.statistics.hypotheses import cohen_d, holm, mcnemar, welch
from mmjax.train.loop.fit import fit
from tests import browser

pytestmark = pytest.mark.usefixtures("standard_promotion")


def copied(run, to, **changes):
    """The run as if its experiment had been another."""
    shutil.copytree(run, to)
    experiment = storage.load(run / "config.json")
    (to / "config.json").unlink()
    storage.save(to / "config.json", dataclasses.replace(experiment, **changes))
    return to


@pytest.fixture(scope="module")
def runs(synergy, tmp_path_factory):
    """A folder of runs: two seeds that have learned, two of another method that have not."""
    home = tmp_path_factory.mktemp("runs")
    experiment = storage.load(synergy / "config.json")
    with jax.numpy_dtype_promotion("standard"):
        weak = dataclasses.replace(experiment, optim=mmjax.optim.Adam(peak_lr=1e-4), steps=2)
        fit(weak, home / "weak" / "seed-0")
    copied(home / "weak" / "seed-0", home / "weak" / "seed-1", seed=1)
    copied(synergy, home / "good" / "seed-0")
    copied(synergy, home / "good" / "seed-1", seed=1)
    return home


def test_a_better_method_is_told_from_a_worse_one_on_the_same_examples(runs):
    found = compare([runs / "weak" / "seed-0", runs / "good" / "seed-0"], resamples=100)
    assert [one.name for one in found.methods] == ["good", "weak"] and not found.seeds
    (pair,) = found.pairs
    left, right = (one.tasks[0].scores > 0 for one in found.methods)
    assert pair.p == mcnemar(left, right) < 1e-6 and pair.corrected == pair.p
    assert pair.difference == pytest.approx(np.mean(left) - np.mean(right))
    assert pair.low < pair.difference < pair.high and pair.verdict == "good is better"
    assert contrast_page.words(found) == "good is better than all others."


def test_seeds_are_the_units_where_every_method_has_several(runs, tmp_path):
    found = compare([runs / "good", runs / "weak"])
    assert found.seeds and [len(one.values) for one in found.methods] == [2, 2]
    # These seeds are copies: nothing varies, so that they differ for certain.
    assert found.pairs[0].p == welch([1.0, 1.0], [0.5, 0.5]) == 0.0
    assert "p of Welch's test" in found.how
    contrast_page.write(tmp_path / "page.html", found)
    text = (tmp_path / "page.html").read_text()
    assert "good is better than all others." in text and text.count("<tr>") == 3 + 2 + 5
    if browser.PATH:
        browser.look(tmp_path / "page.html")
        browser.print_out(tmp_path / "page.html")
        browser.walk(tmp_path / "page.html")


def test_of_a_loss_lower_values_are_better(runs):
    both = [runs / "weak" / "seed-0", runs / "good" / "seed-0"]
    found = compare(both, "label/calibration_error", resamples=20)
    best = min(found.methods, key=lambda one: one.values[0])
    assert found.methods[0] == best and found.pairs[0].lower
    pair = dataclasses.replace(found.pairs[0], difference=-0.1, corrected=0.01)
    assert pair.verdict == f"{pair.left} is better"


def test_what_chance_explains_is_not_distinguishable():
    pairs = [Pair("a", b, 0.1, 0.0, 0.2, p, p, 0.3) for b, p in (("b", 0.03), ("c", 0.04))]
    corrected = holm([pair.p for pair in pairs])
    pairs = [dataclasses.replace(p, corrected=c) for p, c in zip(pairs, corrected, strict=True)]
    assert [pair.verdict for pair in pairs] == ["not distinguishable"] * 2
    nothing = dataclasses.replace(pairs[0], corrected=float("nan"))
    assert nothing.verdict == "not distinguishable"
    assert cohen_d([1.0, 2.0], [1.0, 2.0]) == 0


def test_other_test_examples_other_metrics_and_one_method_are_refused(runs, synergy, tmp_path):
    experiment = storage.load(synergy / "config.json")
    good = runs / "good" / "seed-0"
    other = copied(synergy, tmp_path / "other", data=dataclasses.replace(experiment.data, seed=5))
    with pytest.raises(UserError, match=r"other: its test examples are not those of .*differs"):
        compare([good, other])
    with pytest.raises(UserError, match="two or more methods, got 2 of one"):
        compare([runs / "good"])
    with pytest.raises(UserError, match="no metric label/score; choose from label/accuracy"):
        compare([good, runs / "weak" / "seed-0"], "label/score")
    with pytest.raises(UserError, match="no objective 'x'; choose from label"):
        compare([good, runs / "weak" / "seed-0"], "x/accuracy")
    with pytest.raises(UserError, match=r"expected a run, or a folder of runs"):
        compare([tmp_path / "nothing"])


def test_the_command_prints_verdicts_and_json(runs, capsys):
    both = (runs / "weak" / "seed-0", runs / "good" / "seed-0")
    command(both, resamples=20)
    shown = capsys.readouterr().out
    assert "good is better than all others." in shown and "good is better │" in shown
    command(both, resamples=20, json=True)
    found = json.loads(capsys.readouterr().out)
    assert found["pairs"][0]["verdict"] == "good is better" and not found["seeds"]
    command(both, resamples=20, csv=True)
    (row,) = csv.DictReader(capsys.readouterr().out.splitlines())
    assert (row["left"], row["right"], row["verdict"]) == ("good", "weak", "good is better")


def test_bars_join_methods_of_which_no_two_can_be_told_apart():
    nan = float("nan")

    def made(apart):
        methods = [Method(name, [], [], [1.0], (nan, nan)) for name in "abcd"]
        pairs = [
            Pair(a, b, 1.0, nan, nan, nan, nan, nan, corrected=float(a + b not in apart))
            for a, b in itertools.combinations("abcd", 2)
        ]
        return Contrast("accuracy", "test", 3, methods, pairs)

    assert contrast_page.groups(made(["ad", "bd"])) == [range(0, 3), range(2, 4)]
    assert contrast_page.groups(made(["ab", "ac", "ad"])) == [range(1, 4)]
    assert contrast_page.groups(made([])) == [range(0, 4)]
    assert contrast_page.groups(made(["ab", "ac", "ad", "bc", "bd", "cd"])) == []


def test_an_effect_is_given_only_where_it_is_that_of_the_metric(runs):
    both = [runs / "weak" / "seed-0", runs / "good" / "seed-0"]
    (of_mean,) = compare(both, "label/accuracy", resamples=20).pairs
    assert of_mean.left == "good" and of_mean.effect > 0
    (of_rank,) = compare(both, "label/auroc", resamples=20).pairs
    assert np.isnan(of_rank.effect)


def test_queries_are_drawn_from_the_whole_gallery():
    """A resample of both would hold its own copies, which are easier to find."""
    random = np.random.RandomState(0)
    first = random.randn(30, 4)
    second = first + random.randn(30, 4)
    records = {
        "first": first,
        "second": second,
        "group": np.arange(60).reshape(30, 2),
        "weight": np.ones(30),
    }
    objective = mmjax.objectives.InfoNce(modalities=("image", "text"))
    task = Task("pairs", objective, None, records)
    own = objective.by_query(records)
    rows = np.repeat(np.arange(15), 2)
    for name in ("recall_1_image", "median_rank_text"):
        expected = summary_of(name)(own[name][rows])
        assert contrast._measured(task, name)(rows) == expected
    both = [own[name][rows].mean() for name in ("recall_1_image", "recall_1_text")]
    mean = contrast._measured(task, "mean recall_1")(rows)
    assert mean == pytest.approx(np.mean(both)) and 0 < mean < 1
