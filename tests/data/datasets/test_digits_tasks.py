import numpy as np
import pytest

from mmjax.data.datasets import DigitsTasks
from mmjax.data.datasets.digits_match import NAMES


@pytest.fixture
def pictures(monkeypatch):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (40, 8, 8, 1)).astype(np.uint8)
    monkeypatch.setattr(DigitsTasks, "columns", lambda self, split: (images, np.arange(40) % 10))
    return images


def test_the_three_targets_are_those_of_the_picture(pictures):
    examples = DigitsTasks().source("test").read(np.arange(80), None)
    assert examples.targets["digit"] == [NAMES[i // 2 % 10] for i in range(80)]
    np.testing.assert_allclose(examples.targets["ink"][::2], pictures.mean(axis=(1, 2, 3)) / 255)
    for text, digit, match in zip(
        examples.inputs["text"], examples.targets["digit"], examples.targets["match"], strict=True
    ):
        assert (digit in text or str(NAMES.index(digit)) in text) == match


def test_a_share_of_the_training_pictures_has_a_class_and_ink(pictures):
    data = DigitsTasks(labelled=0.25)
    targets = data.source("train").read(np.arange(80), np.random.default_rng(0)).targets
    known = np.array([name is not None for name in targets["digit"]])
    assert known.sum() == 20  # one picture of each class, in two pairs
    np.testing.assert_array_equal(known, [ink is not None for ink in targets["ink"]])
    assert not any(match is None for match in targets["match"])
    assert None not in data.source("test").read(np.arange(80), None).targets["digit"]
    assert data.preprocessing().targets["digit"].counts == (1,) * 10


def test_a_share_that_cannot_be_is_refused():
    with pytest.raises(ValueError, match="labelled: expected more than 0 and at most 1, got 0"):
        DigitsTasks(labelled=0.0)
