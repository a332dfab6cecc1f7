"""What an earlier version has written, this one reads: to the same answers."""

import dataclasses
import json
import tarfile

import numpy as np
import pytest

from mmjax.runs import checkpoint_reader, folder
from mmjax.train.loop.fit import fit
from tests.stored.store import ANSWERS, HERE, answers

STORED = sorted(HERE.glob("*.tar.xz"))


def test_there_is_one():
    assert STORED


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.name)
def test_a_stored_run_is_restored_and_its_training_goes_on(
    path, tmp_path, digits_dir, standard_promotion
):
    with tarfile.open(path) as archive:
        archive.extractall(tmp_path, filter="data")
    run = tmp_path / "run"
    expected = json.loads((run / ANSWERS).read_text())
    np.testing.assert_allclose(answers(run), expected, atol=1e-5)
    experiment = folder.require(run)
    data = dataclasses.replace(experiment.data, data_dir=digits_dir)
    metrics = json.loads((run / "results.json").read_text())["metrics"]
    found = fit(dataclasses.replace(experiment, data=data), run)
    assert found == pytest.approx(metrics, abs=1e-6)
    assert checkpoint_reader.steps(run)[-1] == experiment.steps
