import math

import jax.numpy as jnp
import numpy as np
import pytest

from mmjax.errors import UserError
from mmjax.runs import log
from mmjax.runs.log import Log
from mmjax.train.loop.meter import Meter
from mmjax.train.step.finite import NAME, Watch
from mmjax.types import MetricName, WeightedMean
from tests.config.experiments import small


def sums(loss, bad=0):
    pair = WeightedMean(jnp.float32(loss), jnp.float32(1))
    return {MetricName("match", "loss"): pair, NAME: WeightedMean(jnp.float32(bad), jnp.float32(1))}


def test_skipped_steps_are_counted_and_enter_no_mean(tmp_path):
    with Log(tmp_path, 6, start=0) as found:
        watch = Watch("skip", 9, ["the loss"])
        meter = Meter(found, small(log_every=3), watch, epoch=10, progress={})
        for step, (loss, bad) in enumerate([(1.0, 0), (math.nan, 1), (3.0, 0)], 1):
            meter.read(step, sums(loss, bad), np.arange(2))
        assert meter.progress["without"] == 1 and meter.progress["skipped"] == 0
    (record,) = log.read(tmp_path / log.FILE)
    assert record["match/loss"] == 2.0 and record["skipped"] == 1
    rate = small().optim.learning_rate(6)
    assert math.isclose(record["learning_rate"], float(rate(1)))  # two updates, not three


def test_a_run_goes_on_whose_sums_were_not_finite(tmp_path):
    """JSON has no NaN: it is null there."""
    with Log(tmp_path, 6, start=0) as found:
        progress = {"means": [["match", "loss", "", [None, 32.0]]]}
        watch = Watch("ignore", 9, [])
        meter = Meter(found, small(log_every=1), watch, epoch=10, progress=progress)
        meter.read(1, sums(1.0), np.arange(2))
    assert math.isnan(log.read(tmp_path / log.FILE)[0]["match/loss"])


def test_targets_that_an_objective_cannot_read_end_the_training(tmp_path):
    with Log(tmp_path, 6, start=0) as found:
        meter = Meter(found, small(), Watch("stop", 9, []), epoch=10, progress={})
        invalid = WeightedMean(jnp.float32(2), jnp.float32(9))
        with pytest.raises(UserError, match="target 'match': 2 examples have a value that Binary"):
            meter.read(1, {**sums(1.0), MetricName("match", "invalid"): invalid}, np.arange(9))
