import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

_ROOT = Path(__file__).parents[3]
_SPLITS = ("train", "validation", "test")


def test_the_splits_hold_every_digit_once(digits):
    parts = [digits.columns(split) for split in _SPLITS]
    levels, labels = load_digits(return_X_y=True)
    got = np.concatenate([images for images, _ in parts]).reshape(1797, 64)
    rows = np.concatenate(
        [np.rint(got / 255 * 16), np.concatenate([y for _, y in parts])[:, None]], 1
    )
    expected = np.concatenate([levels, labels[:, None]], axis=1)
    np.testing.assert_array_equal(rows[np.lexsort(rows.T)], expected[np.lexsort(expected.T)])


def test_no_image_stands_in_two_splits(digits):
    seen = [{image.tobytes() for image in digits.columns(split)[0]} for split in _SPLITS]
    assert not seen[0] & seen[1]
    assert not seen[0] & seen[2]
    assert not seen[1] & seen[2]


def test_every_class_is_split_in_the_same_shares(digits):
    counts = np.array([np.bincount(digits.columns(split)[1], minlength=10) for split in _SPLITS])
    shares = counts / counts.sum(axis=0)
    np.testing.assert_allclose(shares, np.repeat([[0.7], [0.1], [0.2]], 10, axis=1), atol=0.006)


def test_the_grey_levels_fill_a_byte(digits):
    images, _ = digits.columns("train")
    assert images.dtype == np.uint8
    assert images.shape[1:] == (8, 8, 1)
    assert (images.min(), images.max(), len(np.unique(images))) == (0, 255, 17)


def test_building_reading_and_batching_need_no_tensorflow(tmp_path):
    program = f"""
import sys
from mmjax.data.datasets import DigitsMatch
from mmjax.data.pipeline.batches import eval_batches
data = DigitsMatch(data_dir={str(tmp_path)!r})
data.prepare()
batches = eval_batches(data.source("test"), data.preprocessing(), batch_size=100)
print(sum(batch.weight.sum() for batch in batches))
print([name for name in sys.modules if name.split(".")[0] in ("tensorflow", "torch")])
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=_ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "718.0\n[]\n", done.stderr


@pytest.mark.parametrize("heavy", ["tensorflow_datasets", "grain", "sklearn", "scipy.ndimage"])
def test_a_configuration_is_cheap_to_import(heavy):
    program = f"import sys, mmjax.data.datasets; print({heavy!r} in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=_ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "False\n", done.stderr
