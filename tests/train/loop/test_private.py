"""A private training: what it refuses, that it is resumed exactly, and what it keeps."""

import dataclasses
import secrets

import jax
import numpy as np
import pytest

from mmjax.config import Keeping, Private
from mmjax.data.datasets import DigitsClass, DigitsMatch
from mmjax.encoders import Cnn, Lstm, ResNet
from mmjax.errors import UserError
from mmjax.fusion import Concat, MixtureOfExperts
from mmjax.heads import Classes
from mmjax.io import json_file
from mmjax.models import DualEncoder, Multimodal
from mmjax.objectives import InfoNce, SoftmaxCrossEntropy
from mmjax.runs.restore import restore
from mmjax.runs.stop import Interrupted, Stop
from mmjax.train.loop.fit import fit, fit_together
from tests.config.experiments import SMALL, changed

pytestmark = [
    pytest.mark.usefixtures("standard_promotion"),
    pytest.mark.filterwarnings("ignore:optax.global_norm is deprecated"),  # by jax-privacy
]
PRIVATE = Private(noise=1.0, delta=1e-4, microbatch=2)
ENCODERS = {"image": Cnn((4,), 8), "text": Lstm(100, 4, 8)}


@pytest.fixture
def experiment(digits_dir):
    return dataclasses.replace(
        SMALL,
        model=Multimodal(encoders=ENCODERS, fusion=Concat(), heads={"digit": Classes(classes=10)}),
        objectives={"digit": SoftmaxCrossEntropy(output="digit", target="digit")},
        data=DigitsClass(data_dir=digits_dir),
        steps=4,
        private=PRIVATE,
        keeping=Keeping(eval_every=2, log_every=2),
    )


@pytest.mark.slow
def test_a_stopped_training_goes_on_bit_for_bit_and_keeps_its_budget(
    experiment, tmp_path, monkeypatch
):
    monkeypatch.setattr(secrets, "token_bytes", lambda n: bytes(range(n)))
    fit(experiment, tmp_path / "whole")
    monkeypatch.setattr(Stop, "asked", lambda self, step: 15 if step == 3 else None)
    with pytest.raises(Interrupted):
        fit(experiment, tmp_path / "stopped")
    monkeypatch.undo()  # the secret comes from the checkpoint
    before = json_file.read(tmp_path / "stopped" / "privacy.json")
    fit(experiment, tmp_path / "stopped")
    whole, stopped = (restore(tmp_path / name).variables for name in ("whole", "stopped"))
    jax.tree.map(np.testing.assert_array_equal, whole, stopped)
    assert json_file.read(tmp_path / "stopped" / "results.json")["privacy"] == before
    assert before["steps"] == 4 and before["examples"] == 1258 and before["noise"] == 1.0
    with pytest.raises(UserError, match="steps"):
        fit(changed(experiment, steps=8), tmp_path / "stopped")
    # The same seed, another secret: other noise and other batches.
    fit(experiment, tmp_path / "again")
    again = restore(tmp_path / "again").variables
    assert not np.array_equal(*(jax.tree.leaves(one)[0] for one in (whole, again)))


def mixing(experiment):
    """(what is refused, the experiment) of each way to mix examples."""
    match = DigitsMatch(data_dir=experiment.data.data_dir)
    yield (
        "--data: .*DigitsMatch has one row in several",
        dataclasses.replace(SMALL, data=match, private=PRIVATE),
    )
    head = {"digit": Classes(classes=10)}
    norm = ENCODERS | {"image": ResNet(width=4, dim=8, small_images=True)}
    for name, other in (
        ("encoders_image/norm1", Multimodal(encoders=norm, fusion=Concat(), heads=head)),
        ("fusion", Multimodal(encoders=ENCODERS, fusion=MixtureOfExperts(8), heads=head)),
    ):
        yield f"--private: .*{name}", dataclasses.replace(experiment, model=other)
    yield (
        "--private: objectives.pairs",
        dataclasses.replace(
            experiment, model=DualEncoder(encoders=ENCODERS), objectives={"pairs": InfoNce()}
        ),
    )
    yield "--changed-data: not in private", changed(experiment, changed_data=True)
    yield (
        "--private.delta: expected below 1/1258",
        dataclasses.replace(experiment, private=dataclasses.replace(PRIVATE, delta=1e-3)),
    )


def test_what_mixes_examples_is_refused_by_name_and_nothing_is_written(experiment, tmp_path):
    for number, (message, one) in enumerate(mixing(experiment)):
        with pytest.raises(UserError, match=message):
            fit(one, tmp_path / str(number))
        assert not (tmp_path / str(number)).exists()
    with pytest.raises(UserError, match="--seeds: each private training spends its own"):
        fit_together([experiment] * 2, [tmp_path / "a", tmp_path / "b"], tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"accumulate": 2}, "--accumulate: not in private training"),
        ({"buckets": 2}, "--buckets: not in private training"),
        ({"parallel": "jit", "fsdp": 2}, "--fsdp: not in private training"),
        ({"private": Private(noise=1.0)}, "--private.delta"),
        ({"private": Private(delta=1e-5)}, "either --private.noise or --private.epsilon"),
    ],
)
def test_settings_that_do_not_go_with_privacy_are_refused(experiment, changes, message):
    with pytest.raises(UserError, match=message):
        changed(experiment, **changes)
