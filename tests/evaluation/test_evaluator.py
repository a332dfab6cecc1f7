import dataclasses

import numpy as np
import pytest

from mmjax.config import storage
from mmjax.data.datasets.match import MatchSource
from mmjax.devices import parallel, processes
from mmjax.devices.watchdog import Watchdog
from mmjax.evaluation.evaluator import Evaluator
from mmjax.runs import folder
from mmjax.runs.restore import restore


@pytest.fixture
def measured(finished):
    """(devices, chunk) -> test metrics of the finished run."""
    run, _ = finished
    experiment = folder.require(run)
    restored = restore(run)

    def measure(devices, chunk=None):
        chunk = chunk or folder.chunk(run)
        evaluate = Evaluator(experiment, restored.preprocessing, parallel.mesh_of(devices), chunk)
        return evaluate(restored.variables, "test")

    return measure


def test_the_numbers_are_the_same_to_the_last_digit_on_any_number_of_devices(measured, finished):
    assert measured(1) == measured(8) == finished[1]


def test_the_size_of_a_chunk_changes_nothing_but_the_last_digits(measured):
    expected, found = measured(8), measured(3, chunk=7)
    assert list(found) == list(expected)
    np.testing.assert_allclose(list(found.values()), list(expected.values()), atol=1e-6)


def test_every_example_counts_once(measured, finished):
    experiment = folder.require(finished[0])
    count = len(experiment.data.source("test"))
    found = measured(8)
    kinds = ("true_positives", "false_positives", "true_negatives", "false_negatives")
    assert sum(found[f"match/{kind}"] for kind in kinds) == count
    right = found["match/true_positives"] + found["match/true_negatives"]
    assert found["match/accuracy"] == pytest.approx(right / count)
    assert isinstance(experiment.data.source("test"), MatchSource)


def test_the_loss_is_the_objectives_by_their_weights(finished):
    run, metrics = finished
    experiment = folder.require(run)
    heavy = dataclasses.replace(experiment.objectives["match"], weight=2.5)
    experiment = dataclasses.replace(experiment, objectives={"match": heavy})
    restored = restore(run)
    found = Evaluator(experiment, restored.preprocessing, parallel.mesh_of(8), folder.chunk(run))(
        restored.variables, "test"
    )
    assert found["loss"] == pytest.approx(2.5 * metrics["match/loss"])
    assert storage.to_json(experiment)["objectives"]["match"]["weight"] == 2.5


def test_the_wait_for_other_processes_is_watched_and_the_names_of_metrics_need_none(
    finished, monkeypatch
):
    run, metrics = finished
    restored, watchdog, waited = restore(run), Watchdog(None), []

    def gathered(own):
        waited.append(watchdog._waiting)
        return [own]

    monkeypatch.setattr(processes, "gathered", gathered)
    evaluate = Evaluator(
        folder.require(run), restored.preprocessing, parallel.mesh_of(8), folder.chunk(run)
    )
    assert evaluate.names(restored.variables, "test") == list(metrics) and not waited
    assert evaluate(restored.variables, "test", watchdog) == metrics
    ((_, what),) = waited
    assert what == "the evaluation of the others" and watchdog._waiting is None
