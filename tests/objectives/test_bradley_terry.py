"""Preferences: by hand, what does not count, ties, and what cannot be compared."""

import jax.numpy as jnp
import numpy as np
import pytest

from mmjax.errors import UserError
from mmjax.objectives import BradleyTerry
from mmjax.testing.pairs import batch_of
from mmjax.types import Outputs

OBJECTIVE = BradleyTerry(better="image", worse="text")


def test_the_loss_and_the_agreement_are_what_the_formula_says():
    outputs, batch, counted = batch_of("query")
    image, text, query = (
        outputs.values["embedding"]["vectors"][name][counted].astype(np.float64)
        for name in ("image", "text", "query")
    )
    gap = np.sum(query * (image - text), axis=1)
    found = OBJECTIVE(outputs, batch)
    np.testing.assert_allclose(found["loss"].mean(), np.log1p(np.exp(-5 * gap)).mean(), rtol=1e-5)
    np.testing.assert_allclose(found["agreement"].mean(), np.mean(gap > 0))
    assert float(found["loss"].count) == counted.sum() and 0 < np.mean(gap > 0) < 1
    records = {name: np.asarray(x) for name, x in OBJECTIVE.record(outputs, batch).items()}
    assert OBJECTIVE.metrics(records, None) == {"agreement": pytest.approx(np.mean(gap > 0))}
    none = {**records, "weight": np.zeros(8, np.float32)}
    assert OBJECTIVE.metrics(none, None) == {}
    said = [one["value"] for one in OBJECTIVE.predictions(outputs, None)]
    np.testing.assert_allclose(np.array(said)[counted], 1 / (1 + np.exp(-5 * gap)), rtol=1e-5)


def test_an_example_needs_one_query_of_several_and_equal_items_are_half_right():
    outputs, batch, counted = batch_of("query", "other")
    vectors = outputs.values["embedding"]["vectors"]
    present = dict(outputs.present)
    present["query"], present["other"] = np.arange(8) % 2 == 0, np.arange(8) % 3 == 0
    values = {"embedding": {**outputs.values["embedding"], "vectors": vectors | {"other": None}}}
    values["embedding"]["vectors"]["other"] = jnp.full_like(vectors["query"], jnp.nan)
    given = Outputs(values, present=present)
    with_nan = OBJECTIVE(given, batch)["loss"]
    assert float(with_nan.count) == (counted & (present["query"] | present["other"])).sum()
    alone = BradleyTerry(better="image", worse="text", queries=("query",))(given, batch)["loss"]
    assert float(alone.count) == (counted & present["query"]).sum() and np.isfinite(alone.mean())
    same = {**vectors, "text": vectors["image"]}
    values = {"embedding": {**outputs.values["embedding"], "vectors": same}}
    tied = Outputs(values, present=outputs.present)
    found = OBJECTIVE(tied, batch)
    assert found["agreement"].mean() == 0.5
    np.testing.assert_allclose(found["loss"].mean(), np.log(2), rtol=1e-6)


def test_what_cannot_be_compared_is_named():
    outputs, batch, _ = batch_of()
    with pytest.raises(UserError, match=r"the modalities better, worse and another, got \['image'"):
        BradleyTerry()(outputs, batch)
    with pytest.raises(UserError, match="image, text and another, got"):
        OBJECTIVE(outputs, batch)
    for wrong in ({"better": "worse"}, {"queries": ("better",)}, {"target": "y"}):
        with pytest.raises(UserError, match="expected no target, and different modalities"):
            BradleyTerry(**wrong)
