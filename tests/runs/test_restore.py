import json
import shutil

import jax
import numpy as np
import pytest

import mmjax
from mmjax.runs.folder import require


def test_a_run_is_restored_from_its_folder_alone(finished, tmp_path):
    """Moved elsewhere, without its data: what is left is model, variables and preprocessing."""
    run = tmp_path / "moved"
    shutil.copytree(finished[0], run)
    model, variables, preprocessing = mmjax.restore(run)
    assert model == require(run).model
    assert all(type(leaf) is np.ndarray for leaf in jax.tree.leaves(variables))
    inputs = preprocessing({"image": [None], "text": ["a seven"]})
    assert model.apply(variables, inputs, train=False).values["match"].shape == (1,)


def test_last_best_or_a_step_is_restored(finished):
    run, _ = finished
    losses = {
        record["step"]: record["loss"]
        for record in map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
        if record["split"] == "validation"
    }
    best = min(losses, key=losses.__getitem__)
    last, chosen, four = (mmjax.restore(run, name).variables for name in ("last", "best", 4))
    six = mmjax.restore(run, "6").variables
    jax.tree.map(np.testing.assert_array_equal, last, six)
    jax.tree.map(np.testing.assert_array_equal, chosen, {4: four, 6: six}[best])
    assert any(jax.tree.leaves(jax.tree.map(lambda a, b: np.any(a != b), four, six)))


def test_a_checkpoint_that_is_not_there_is_refused_with_those_that_are(finished):
    for wrong in (5, "newest"):
        with pytest.raises(ValueError, match=r"no checkpoint .* last, best, whole, 4, 6"):
            mmjax.restore(finished[0], wrong)


def test_a_run_without_a_finished_checkpoint_is_refused(finished, tmp_path):
    for name in ("config.json", "preprocessing.json"):
        shutil.copy(finished[0] / name, tmp_path)
    with pytest.raises(ValueError, match="has no finished checkpoint; run its training again"):
        mmjax.restore(tmp_path)


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"is not a run: it has no config\.json"):
        mmjax.restore(tmp_path)
