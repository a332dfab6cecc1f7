import time

import numpy as np
import pytest

from mmjax.train.loop import recompile
from mmjax.types import Batch, Masked


def _batch(size=16, words=10, *, dtype=np.int32, sound=False):
    inputs = {
        "image": Masked(np.zeros((size, 8, 8, 1), np.float32), np.ones(size, bool)),
        "text": Masked(np.zeros((size, words), dtype), np.ones((size, words), bool)),
    }
    if sound:
        inputs["sound"] = inputs["image"]
    weight = np.ones(size, np.float32)
    return Batch(inputs, {"match": weight}, weight, np.arange(size))


@pytest.fixture
def said():
    return []


def test_a_shape_or_type_that_changed_is_named_with_its_step(said):
    watch = recompile.Watch(said.append)
    for step, words in ((1, 10), (2, 10), (17, 12)):
        watch(step, _batch(words=words))
    assert said == [
        "step 17 compiles again: inputs/text/mask was bool[16,10], is bool[16,12]; "
        "inputs/text/values was int32[16,10], is int32[16,12]"
    ]
    watch(18, _batch(words=12, dtype=np.int64))
    assert said[1:] == [
        "step 18 compiles again: inputs/text/values was int32[16,12], is int64[16,12]"
    ]


def test_each_kind_is_reported_once_though_it_comes_again(said):
    """What was compiled once, JAX keeps."""
    watch = recompile.Watch(said.append)
    for step in range(20):
        watch(step, _batch(words=10 + step % 2))
    assert len(said) == 1


def test_an_array_that_came_or_went_is_named(said):
    watch = recompile.Watch(said.append)
    watch(1, _batch())
    watch(2, _batch(sound=True))
    assert "inputs/sound/values was absent, is float32[16,8,8,1]" in said[0]


def test_lengths_that_are_expected_are_not_reported_but_others_are(said):
    watch = recompile.Watch(said.append, {"text": (10, 5, 3)})
    for step, words in enumerate((10, 5, 3, 10)):
        watch(step, _batch(words=words))
    assert not said
    watch(9, _batch(words=7))
    assert len(said) == 1 and "is int32[16,7]" in said[0]
    watch(10, _batch(size=8, words=5))
    assert "inputs/text/values was int32[16,7], is int32[8,5]" in said[1]


def test_it_costs_a_step_next_to_nothing(said):
    watch, batch = recompile.Watch(said.append), _batch()
    begin = time.perf_counter()
    for step in range(1000):
        watch(step, batch)
    assert (time.perf_counter() - begin) / 1000 < 200e-6  # 10 on an idle machine
