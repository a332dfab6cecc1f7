"""The page about a run: what it says is what was planted, and it is legal whatever is missing."""

import re
from types import SimpleNamespace

import jax
import numpy as np
import pytest

import mmjax
from mmjax.cli.report import report as command
from mmjax.errors import UserError
from mmjax.io import json_file
from mmjax.reports.report import Report
from mmjax.reports.sections import SECTIONS
from mmjax.reports.sections.attention import attention
from mmjax.reports.sections.attributions import attributions
from mmjax.reports.sections.modalities import modalities
from mmjax.reports.sections.robustness import area
from mmjax.reports.sections.slices import _groups, _unread
from mmjax.reports.task import Task
from mmjax.statistics.information import counted, decompose
from mmjax.train.loop.fit import fit
from tests import browser
from tests.data.tables.made import made
from tests.reports.pages import names_of_pictures

pytestmark = pytest.mark.usefixtures("standard_promotion")
BLUE = "$\\blue{$"  # a name that is no formula, and would be a wrong one


@pytest.fixture(scope="module")
def written(synergy, tmp_path_factory):
    """(report, page, folder of figures)."""
    folder = tmp_path_factory.mktemp("report")
    with jax.numpy_dtype_promotion("standard"):
        report = Report(synergy, sample=400, resamples=50, figures=folder / "figures")
        report.write(folder / "page.html", SECTIONS)
    return report, folder / "page.html", folder / "figures"


def test_every_figure_has_its_numbers_a_name_and_a_file(written):
    _, path, figures = written
    text = path.read_text()
    for title in ("Metrics", "Classes", "Examples", "Modalities", "Missing and noisy", "Cost"):
        assert f">{title}" in text
    count = text.count("<figure>")
    assert count == text.count("<details>") == 8
    assert all(len(name) > 9 for name in names_of_pictures(text))
    names = {file.name for file in figures.iterdir()}
    assert {"label_confusion.png", "label_confusion.svg", "label_robustness_2.png"} <= names
    assert "<script" not in text and "src=" not in text.replace('src="data:', "")
    identities = re.findall(r' id="([^"]*)"', text)
    assert len(identities) == len(set(identities))


def test_the_metrics_are_those_of_the_training(synergy, written):
    stored = json_file.read(synergy / "results.json")["metrics"]
    (task,) = written[0].tasks
    found = task.intervals
    for name, (value, low, high) in found.items():
        assert value == pytest.approx(stored[f"label/{name}"], rel=1e-5)
        assert low <= high
    assert found["accuracy"].low <= found["accuracy"].value <= found["accuracy"].high
    assert task.scores.mean() == found["accuracy"].value
    assert found["accuracy"].value > 0.9


def test_a_planted_synergy_is_seen(written):
    """Neither sensor alone is better than guessing; h(0.05) of one bit is synergistic."""
    report, path, _ = written
    everything = np.ones(400, bool)
    worth = {}
    for names in ((), ("vision",), ("touch",), ("vision", "touch")):
        keep = {name: everything & (name in names) for name in ("vision", "touch")}
        found = report.examined.changed(keep)
        worth[names] = report.task("label", found["label"]).worth(found["label"])
    both = worth.pop(("vision", "touch"))
    assert both > 0.9 and max(worth.values()) < 0.62
    rows = dict(re.findall(r"<td[^>]*>([\w ,-]+)</td><td class=\"number\">([-.\d]+)</td>",
                           path.read_text()))  # fmt: skip
    assert float(rows["all Shapley values together"]) == pytest.approx(both - worth[()], abs=1e-3)
    assert float(rows["all modalities - none"]) == pytest.approx(both - worth[()], abs=1e-3)
    from mmjax.reports.sections.information import clustered

    symbols = clustered(report)
    (task,) = report.tasks
    drawn = task.labels[report.examined.rows]
    bits = decompose(counted(symbols["vision"], symbols["touch"], drawn))
    assert bits.synergistic > 0.6 and max(bits[:3]) < 0.1


def test_noise_and_hidden_modalities_change_only_what_they_should(written):
    report, _, _ = written
    (task,) = report.tasks
    as_is = report.examined.changed()["label"]["output"]
    np.testing.assert_array_equal(as_is, task.records["output"][report.examined.rows])
    order = np.arange(400)
    half = report.examined.changed({"touch": order >= 200})["label"]["output"]
    np.testing.assert_array_equal(half[200:], as_is[200:])
    assert np.all(half[:200] != as_is[:200])
    noisy = report.examined.changed(noise={"touch": 0.5})["label"]["output"]
    assert len(noisy) == 400 and np.all(noisy != as_is)
    assert area([0.0, 1.0, 2.0], [1.0, 0.5, 0.5]) == pytest.approx(0.625)


@browser.needed
def test_the_page_fits_a_phone_and_paper_and_can_be_used_by_keyboard(written):
    browser.look(written[1])
    browser.print_out(written[1])
    browser.walk(written[1])


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """A run whose test split has three examples of one class, and never a note."""
    folder, rng = tmp_path_factory.mktemp("three"), np.random.default_rng(0)
    rows = []
    for number in range(60):
        kind = "red" if number < 2 or rng.random() < 0.5 or number >= 57 else BLUE
        part = "train" if number < 50 else "validation" if number < 57 else "test"
        note = "" if part == "test" else f"so {kind}"
        rows.append({"note": note, "size": rng.normal(), "shop": "ab"[number % 2], "kind": kind,
                     "part": part})  # fmt: skip
    rows[3]["kind"] = "<b>green"
    columns = {
        "note": mmjax.data.columns.TextColumn(),
        "table": mmjax.data.columns.TableColumn(column=("size",)),
        "kind": mmjax.data.columns.ClassColumn(),
    }
    data = made(folder, rows, columns, split="part")
    text = mmjax.encoders.Lstm(vocabulary_size=20, dim=4, pooling="none")
    table = mmjax.encoders.TableMlp(dim=4, hidden=(4,))
    experiment = mmjax.Experiment(
        model=mmjax.Multimodal(
            encoders={"note": text, "table": table},
            fusion=mmjax.fusion.CrossAttention(dim=4, heads=1),
            heads={"kind": mmjax.heads.Classes(classes=3)},
        ),
        objectives={"kind": mmjax.objectives.SoftmaxCrossEntropy(output="kind", target="kind")},
        data=data,
        optim=mmjax.optim.Adam(),
        steps=2,
        batch_size=8,
    )
    with jax.numpy_dtype_promotion("standard"):
        fit(experiment, folder / "run")
    return folder


def test_three_examples_of_one_class_and_a_modality_that_is_always_missing(three, tmp_path):
    report = Report(three / "run", resamples=20, by=("shop",), group="shop")
    report.write(tmp_path / "page.html", SECTIONS)
    groups = report.sampled("kind", report.examined.changed()["kind"]).groups
    assert [*report.examined.rows] != [0, 1, 2]
    assert groups == [report.cells(["shop"])["shop"][row] for row in report.examined.rows]
    text = tmp_path / "page.html"
    text = text.read_text()
    # The one token of the table looks at the learned token alone.
    looked = text[text.index("The share of each modality</p>") :]
    row = looked[looked.index("<tbody>") : looked.index("</tr>", looked.index("<tbody>"))]
    assert re.findall(r">([^<>]+)</td>", row) == ["0", "0", "0"]
    assert "note is missing in every example: it adds nothing here." in text
    assert "No example of this split is of $\\blue{$, &lt;b&gt;green" in text
    assert "All examples are of one class: no ranking is defined." in text
    assert "With 3 examples intervals are rough guesses" in text
    assert "Not defined on these examples: auroc" in text
    assert "<b>green" not in text and ">shop<" in text
    with pytest.raises(UserError, match="no column 'street'"):
        Report(three / "run", by=("street",))


def test_words_are_marked_with_what_they_add_and_how_they_are_looked_at(three):
    report = Report(three / "run", "validation")
    for one in (attributions, attention):
        text = "".join(one(report))
        card = text.split("<div class=card>")[1]
        words = re.findall(r'class="word"[^>]*>(.*?) <small>([^<]+)</small>', card)
        assert next(word for word, _ in words if word in ("so", "red", "$")) == "so"
        assert all(re.fullmatch(r"[+-]\S+( \(\S+\))?", number) for _, number in words)
        assert re.search(r"<td[^>]*>note</td><td[^>]*>(so|red|blue)</td>", text)
    assert "others" not in text and text.count("<figure>") == 1


def test_a_run_without_its_data_says_so_and_shows_what_it_knows(three, tmp_path):
    moved = (three / "rows.csv").rename(three / "gone.csv")
    try:
        report = Report(three / "run")
        report.write(tmp_path / "page.html", SECTIONS)
    finally:
        moved.rename(three / "rows.csv")
    text = (tmp_path / "page.html").read_text()
    assert "The data are not at hand, so nothing could be measured" in text
    for title in ("Metrics", "Training", "Data", "Cost"):
        assert f"<h2>{title}</h2>" in text
    assert "<h2>Examples</h2>" not in text and "kind/accuracy" in text and "Digest" in text


def test_numbers_become_quarters_and_names_stay():
    assert _groups(["a", None, "b"]) == ["a", "(empty)", "b"]
    quarters = _groups([float(i) for i in range(100)] + [None])
    assert quarters.count("0 to 24.75") == 25 and quarters[-1] == "(empty)"
    assert _groups([f"name {i}" for i in range(50)]) == []
    sites = [f"site {i}" for i in range(25) for _ in range(5 + i)]
    assert len(set(_groups(sites))) == 21 and _groups(sites)[0] == "(other)"
    (said,) = _unread({"site": sites, "street": [f"street {i}" for i in range(50)]})
    assert said.startswith("<p>street: 50 different values, none of which 5 examples have")


def test_of_seven_modalities_the_subsets_that_were_measured_are_named():
    names, asked = tuple("abcdefg"), []
    report = Report.__new__(Report)
    examined = SimpleNamespace(modalities=names, rows=np.arange(3), changed=asked.append)
    present = dict.fromkeys(names, np.ones(3, bool))
    report.__dict__ |= {"absent": "", "examined": examined, "_whole": ({}, present), "tasks": []}
    (said,) = modalities(report)
    assert len({tuple(name for name in names if keep[name].any()) for keep in asked}) == 16
    assert "7 modalities have 128 subsets" in said and "here only 16 were" in said


def test_all_right_still_has_an_interval():
    """Wilson's: every resample of 20 right ones is 20 right ones."""
    records = {"output": np.full(20, 2.0), "target": np.ones(20), "weight": np.ones(20)}
    objective = mmjax.objectives.BinaryCrossEntropy(output="y", target="y")
    task = Task("y", objective, None, records, resamples=20)
    assert task.intervals["accuracy"].low == pytest.approx(20 / (20 + 1.96**2), abs=1e-3)
    assert task.mean(np.arange(20) < 3).low == pytest.approx(3 / (3 + 1.96**2), abs=1e-3)


def test_of_an_objective_without_examples_scores_its_metrics_have_intervals():
    rng = np.random.default_rng(0)
    hazard = rng.normal(size=60)
    time = np.exp(-hazard) * rng.exponential(size=60)
    records = {"hazard": hazard, "time": time, "event": np.ones(60, bool)}
    records["counts"] = np.ones(60, bool)
    objective = mmjax.objectives.Cox(output="risk", target="death")
    task = Task("death", objective, None, records, resamples=30)
    assert task.family == "other" and not task.scored and len(task.rows) == 60
    found = task.intervals
    assert found[task.worth_name].low < task.worth(records) < found[task.worth_name].high


def test_what_cannot_be_written_is_refused_before_anything_is_computed(tmp_path):
    (tmp_path / "file").write_text("mine")
    for arguments, message in (
        ({"out": tmp_path / "no" / "page.html"}, "--out .*: expected a file in a folder that"),
        ({"figures": tmp_path / "file"}, "--figures .*: expected a folder"),
        ({"sample": 0}, "--sample: expected at least 1, got 0"),
    ):
        with pytest.raises(UserError, match=message):
            command(tmp_path, **arguments)
    assert (tmp_path / "file").read_text() == "mine"
