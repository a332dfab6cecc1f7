import numpy as np
import pytest

from mmjax.data import PlantedChain
from mmjax.errors import UserError

CHAIN = PlantedChain(test_size=4000, noise=0.0)


@pytest.fixture(scope="module")
def examples():
    return CHAIN.source("test").read(np.arange(4000), None)


def test_who_follows_both_steps_reaches_the_best_accuracy(examples):
    answers = []
    for things, lights in zip(examples.inputs["map"], examples.inputs["lights"], strict=True):
        (marked,) = np.flatnonzero(things[:, 0])
        (place,) = np.flatnonzero(things[marked, 1:])
        (row,) = np.flatnonzero(lights[:, 1 + place])
        answers.append(lights[row, 0])
    right = np.mean(np.array(answers) == examples.targets["label"])
    assert right == CHAIN.best_score("test")
    assert abs(right - CHAIN.best_accuracy()) < 0.01 and CHAIN.best_accuracy() == 0.95


def test_one_modality_alone_says_nothing(examples):
    label = examples.targets["label"]
    things, lights = (np.stack(examples.inputs[name]) for name in ("map", "lights"))
    assert np.all(lights[:, :, 0].sum(axis=1) == CHAIN.places / 2)
    assert np.all(things[:, :, 0].sum(axis=1) == 1)
    for rows in (things, lights):  # no token tells the label
        means = np.abs(np.corrcoef(np.c_[rows.reshape(4000, -1), label].T)[-1, :-1])
        assert np.nanmax(means) < 0.06


def test_every_place_is_asked_and_every_order_drawn(examples):
    things = np.stack(examples.inputs["map"])
    marked = things[things[:, :, 0] == 1, 1:]
    np.testing.assert_allclose(marked.mean(axis=0), 1 / 6, atol=0.03)
    first = np.stack(examples.inputs["lights"])[:, 0, 1:]
    np.testing.assert_allclose(first.mean(axis=0), 1 / 6, atol=0.03)


@pytest.mark.parametrize(
    ("fields", "message"),
    [({"lit": 0}, "lit: expected at least 1"), ({"flip": 0.6}, "flip"), ({"noise": -1.0}, "noise")],
)
def test_fields_out_of_range_are_refused(fields, message):
    with pytest.raises(UserError, match=message):
        PlantedChain(**fields)
