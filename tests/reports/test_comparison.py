import numpy as np
import pytest
from PIL import Image
from scipy import stats

from mmjax.evaluation.cost import Cost
from mmjax.reports.comparison import Comparison

SCORES = {
    "xor": {
        "alone": [0.5, 0.51, 0.49],
        "sum": [0.52, 0.5, 0.51],
        "tensor": [0.94, 0.95, 0.93],
        "mult": [0.93, 0.95, 0.94],
    },
    "match": {
        "alone": [0.99, 0.99, 0.99],  # a baseline is never the winner
        "sum": [0.7, 0.9, 0.8],
        "tensor": [0.81, 0.81, 0.81],
        "mult": [0.6, 0.61, 0.62],
    },
}
TABLE = Comparison(
    scores=SCORES,
    optimum={"xor": 0.95, "match": None},
    best={"xor": 0.957, "match": None},
    baselines=("alone",),
    costs={"tensor": Cost(1234, 5600.0, 0.5), "mult": Cost(10, 100.0, 2.0)},
)


def test_what_the_seeds_cannot_tell_from_the_best_is_a_tie():
    assert TABLE.winner("xor") == "tensor"
    assert TABLE.tied("xor") == {"tensor", "mult"}
    assert TABLE.winner("match") == "tensor"
    # ... by the test that scipy would make of the scores themselves
    for method, tied in (("mult", True), ("sum", False), ("alone", False)):
        p = stats.ttest_ind(SCORES["xor"][method], SCORES["xor"]["tensor"], equal_var=False).pvalue
        assert (p >= 0.05) == tied
    assert TABLE.tied("match") == {"sum", "tensor"}


def test_without_any_spread_means_are_compared_as_they_are():
    scores = {"t": {"a": [0.5, 0.5], "b": [0.6, 0.6], "c": [0.6, 0.6]}}
    table = Comparison(scores, optimum={"t": None}, best={"t": None})
    assert table.tied("t") == {"b", "c"}


def test_solved_is_098_of_what_the_best_decisions_score():
    assert TABLE.solved("xor", "tensor")  # 0.94 of 0.957
    almost = Comparison({"t": {"a": [0.93, 0.93]}}, optimum={"t": 0.9}, best={"t": 0.957})
    assert not almost.solved("t", "a")
    assert not TABLE.solved("match", "tensor")  # unknown


def test_the_table_shows_spread_ties_limits_and_costs():
    lines = TABLE.markdown().splitlines()
    assert lines[0] == ("| fusion | xor | match | parameters | kFLOPs / example | ms / batch |")
    assert lines[2] == "| *best possible* | 95.0 | unknown |  |  |  |"
    assert lines[3] == "| *... on these examples* | 95.7 | unknown |  |  |  |"
    assert lines[4] == "| *alone* | 50.0 ± 1.0 | 99.0 ± 0.0 |  |  |  |"
    assert lines[5] == "| sum | 51.0 ± 1.0 | 80.0 ± 10.0 ≈ |  |  |  |"
    assert lines[6] == "| tensor | **94.0 ± 1.0** ≈ | 81.0 ± 0.0 ≈ | 1,234 | 6 | 0.50 |"
    assert "Welch's t-test" in lines[-1]


def test_methods_are_ranked_over_tasks():
    text = TABLE.ranking()
    assert text in TABLE.markdown()
    assert text.startswith("Mean rank over 2 tasks: tensor 1.8, alone 2.5, mult 2.8, sum 3.0.")
    critical = 2.569 * np.sqrt(4 * 5 / (6 * 2))  # Demsar 2006, table 5
    assert f"less than {critical:.2f}" in text
    means = [[np.mean(task[name]) for name in TABLE.methods] for task in SCORES.values()]
    p = stats.friedmanchisquare(*np.array(means).T).pvalue
    assert f"p = {p:.2g}, Friedman" in text
    assert Comparison({"t": SCORES["xor"]}, optimum={"t": None}, best={"t": None}).ranking() == ""


def test_the_picture_is_drawn(tmp_path):
    TABLE.draw(tmp_path / "table.png")
    pixels = np.asarray(Image.open(tmp_path / "table.png").convert("RGB"))
    assert min(pixels.shape[:2]) > 200
    # Dark blue where chance was reached, yellow where the task was solved.
    for colour in ((0, 34, 78), (254, 232, 56)):
        assert np.any(np.all(np.abs(pixels.astype(int) - colour) < 30, axis=-1)), colour


def test_a_score_below_two_seeds_has_no_spread_to_show():
    with pytest.raises(ValueError, match="a on t: expected at least 2 scores"):
        Comparison({"t": {"a": [0.5]}}, optimum={"t": None}, best={"t": None})
