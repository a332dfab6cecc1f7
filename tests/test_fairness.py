"""experiments/fairness.py: the same search for every row, and tests that are corrected."""

from types import SimpleNamespace

import numpy as np
import pytest

import mmjax
from tests.test_experiments import FOLDER, load


@pytest.fixture(scope="module")
def fairness():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER))  # where the files beside it are
        return load(FOLDER / "fairness.py")


def test_every_row_gets_the_same_trials_and_as_many_of_each_width(fairness):
    trials = fairness.drawn(6)
    assert trials == fairness.drawn(6) and len({trial["rate"] for trial in trials}) == 6
    assert [trial["width"] for trial in trials].count(16) == 3
    for name, (low, high) in (("rate", fairness.RATES), ("decay", fairness.DECAYS)):
        assert all(low <= trial[name] <= high for trial in trials)


def test_late_fusion_weights_are_picked_on_the_validation_split(fairness, monkeypatch):
    true = np.array([0, 1, 2, 0, 1, 2])
    true = np.append(true, 0)  # of an example whose target is missing
    targets = {"digit": mmjax.Masked(true, np.arange(7) < 6)}
    split = SimpleNamespace(targets=targets)
    monkeypatch.setattr(fairness, "batches", lambda task: (None, dict.fromkeys(SPLITS, split)))
    task = fairness.Task("made up", None, "digit", 3, 1)
    good = np.eye(3)[true][None] + np.zeros((2, 1, 1))
    bad = -3 * good
    # The bad modality is good on the test split: a test score must not pick the weights.
    one = fairness.Row(good, bad, {}, 10, 1.0)
    other = fairness.Row(bad, good, {}, 20, 2.0)
    found = fairness.late(task, [one, other])
    assert fairness.accuracy(task, "validation", found.validation).tolist() == [1, 1]
    assert fairness.accuracy(task, "test", found.test).tolist() == [0, 0]
    assert (found.parameters, found.seconds) == (30, 3.0)


SPLITS = ("validation", "test")


def test_verdicts_are_corrected_for_their_number(fairness):
    rng = np.random.default_rng(0)
    base = 0.8 + 0.01 * rng.standard_normal(5)
    scores = {"base": base, "same": base + 0.001, "up": base + 0.1, "down": base - 0.1}
    words = fairness.verdicts({"a": scores}, {"a": "base"})
    assert words == {"same": {"a": "="}, "up": {"a": "better"}, "down": {"a": "worse"}}
    near = base + 0.021 * np.array([1, 0.6, 1.2, 0.9, 0.8])
    alone = fairness.verdicts({"a": {"base": base, "near": near}}, {"a": "base"})
    many = {f"same {i}": base for i in range(30)}
    among = fairness.verdicts({"a": {"base": base, "near": near, **many}}, {"a": "base"})
    assert alone["near"] == {"a": "better"} and among["near"] == {"a": "="}


def test_what_it_does_not_know_is_refused(fairness):
    for wrong in ({"fusions": ("conkat",)}, {"fusions": ("concat",)}, {"seeds": 1}):
        with pytest.raises(SystemExit, match="late_transformer"):
            fairness.main(**wrong)
