"""A training that begins with the variables of another run."""

import dataclasses

import jax
import numpy as np
import pytest

from mmjax.data.datasets import DigitsMatch
from mmjax.errors import UserError
from mmjax.fusion import Sum
from mmjax.runs.restore import restore
from mmjax.train.loop.preparation import prepare
from tests.config.experiments import changed, small

pytestmark = pytest.mark.usefixtures("standard_promotion")


def test_it_begins_with_the_variables_of_the_run_and_a_fresh_optimiser(
    finished, digits_dir, tmp_path
):
    run, _ = finished
    experiment = small(data=DigitsMatch(data_dir=digits_dir), init=str(run), steps=12)
    fresh = prepare(experiment, tmp_path / "longer").fresh
    expected = restore(run).variables["params"]
    jax.tree.map(np.testing.assert_array_equal, fresh.params, expected)
    assert fresh.step == 0
    other = dataclasses.replace(experiment.model, fusion=Sum())
    with pytest.raises(UserError, match=r"--init .*: its model is another one:"):
        prepare(changed(experiment, model=other), tmp_path / "other")
