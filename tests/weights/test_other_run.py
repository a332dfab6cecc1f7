"""A training that begins with the variables of another run."""

import dataclasses
import functools

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


def test_parts_begin_with_parts_of_the_run_and_the_rest_is_fresh(finished, digits_dir, tmp_path):
    run, _ = finished
    stored = restore(run).variables["params"]
    init = f"encoders.image={run}, heads.match.Mlp_0.Dense_1={run}:heads.match.Mlp_0.Dense_1"
    experiment = small(data=DigitsMatch(data_dir=digits_dir), seed=5)
    other = changed(experiment, init=init)
    found, fresh = (
        prepare(one, tmp_path / name).fresh.params
        for one, name in ((other, "a"), (experiment, "b"))
    )
    same = functools.partial(jax.tree.map, np.testing.assert_array_equal)
    same(found["encoders_image"], stored["encoders_image"])
    last, rest = (found["heads_match"]["Mlp_0"][name] for name in ("Dense_1", "Dense_0"))
    same(last, stored["heads_match"]["Mlp_0"]["Dense_1"])
    same(rest, fresh["heads_match"]["Mlp_0"]["Dense_0"])
    same(found["encoders_text"], fresh["encoders_text"])
    shown = prepare(other, tmp_path / "a").weights
    assert shown["encoders_image"] == f"{run}:encoders.image"


@pytest.mark.parametrize(
    ("init", "message"),
    [
        ("encoders.photo=RUN", "the model has no part 'encoders.photo'; its modules are encoders_"),
        ("encoders.image=RUN:encoders.x", "has no part 'encoders.x'; its modules are encoders_"),
        ("encoders.image=RUN:encoders.text", "these parts are different:"),
        ("encoders.image=nowhere", "nowhere"),
    ],
)
def test_a_part_that_does_not_fit_is_named(finished, digits_dir, tmp_path, init, message):
    run = str(finished[0])
    given = small(data=DigitsMatch(data_dir=digits_dir), init=init.replace("RUN", run))
    with pytest.raises(ValueError, match=message):
        prepare(given, tmp_path / "other")
