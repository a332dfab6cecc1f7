"""The shares of a batch, each read alone: together the batch that one process reads, to the bit."""

import contextlib
import csv

import jax
import numpy as np
import pytest
from PIL import Image

from mmjax.data.dataset import Source
from mmjax.data.datasets import DigitsMatch, Planted, TableData
from mmjax.data.pipeline.batches import train_batches, train_rows
from mmjax.data.tables import columns
from mmjax.data.transforms.augment import ImageAugment

EVERY = ImageAugment(shift=1.0, rotation=10.0, scale=0.1, noise=9.0, cutout=2)
STEPS = 3


@pytest.fixture
def pictures(tmp_path):
    """A CSV file of pictures in two columns, some missing, all of them in a run of rows."""
    (tmp_path / "data").mkdir()
    random = np.random.default_rng(0)
    with (tmp_path / "data" / "rows.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["left", "right", "text", "match", "split"])
        for row in range(13):
            name = f"{row}.png"
            Image.fromarray(random.integers(0, 256, (6, 6, 3), np.uint8)).save(
                file.name[:-8] + name
            )
            left, right = ("" if row % 3 == 0 else name), ("" if row > 1 else name)
            writer.writerow([left, right, "a b c", row % 2, "train"])
        writer.writerow(["0.png", "0.png", "a", 0, "validation"])
        writer.writerow(["0.png", "0.png", "a", 0, "test"])
    found = {
        "left": columns.ImageColumn(size=(6, 6)),
        "right": columns.ImageColumn(size=(6, 6)),
        "text": columns.TextColumn(dropout=0.5),
        "match": columns.BinaryColumn(),
    }
    folder = str(tmp_path / "data")
    return TableData(data_dir=folder, columns=found, split="split", augment=EVERY)


class _Counted(Source):
    """A source that notes what is read."""

    def __init__(self, source):
        self.source, self.seen = source, []

    def __len__(self):
        return len(self.source)

    def read(self, indices, rng, own=slice(None)):
        self.seen.extend(indices[own])
        return self.source.read(indices, rng, own)

    def pick(self, indices, rng, own=slice(None)):
        self.seen.extend(indices[own])
        return self.source.pick(indices, rng, own)


def _taken(batches, data, source, preprocessing, part, count):
    """Batches of a share, and which examples were read for them."""
    counted = _Counted(source)
    options = {"batch_size": 12, "seed": 3, "start": 2, "share": (part, count)}
    with contextlib.closing(batches(data, counted, preprocessing, **options)) as found:
        taken = [next(found) for _ in range(STEPS)]
    return taken, counted.seen


def _assert_shares_make_the_batch(data, batches=train_batches):
    source, preprocessing = data.source("train"), data.preprocessing()
    expected, _ = _taken(batches, data, source, preprocessing, 0, 1)
    for count in (2, 4):
        parts = [_taken(batches, data, source, preprocessing, part, count) for part in range(count)]
        for step, batch in enumerate(expected):
            rows = [taken[step] for taken, _ in parts]
            joined = jax.tree.map(lambda *x: np.concatenate(x), *rows)
            jax.tree.map(np.testing.assert_array_equal, joined, batch)
        for taken, seen in parts:
            own = np.concatenate([batch.ids for batch in taken])
            assert len(own) == STEPS * 12 // count
            np.testing.assert_array_equal(seen[: len(own)], own)


def test_shares_of_augmented_pictures_are_the_batch_whatever_is_missing(pictures):
    _assert_shares_make_the_batch(pictures)


def test_shares_of_drawn_pairs_are_the_batch(digits_dir):
    _assert_shares_make_the_batch(DigitsMatch(digits_dir, augment=EVERY, word_dropout=0.3))
    _assert_shares_make_the_batch(DigitsMatch(digits_dir), _rows)


def _rows(data, source, preprocessing, **options):
    del data
    return train_rows(source, preprocessing, **options)


@pytest.mark.parametrize("task", ["synergy", "missing", "noisy", "misaligned"])
def test_shares_of_planted_examples_are_the_batch(task):
    shape = "vision_touch" if task == "misaligned" else "image_text"
    _assert_shares_make_the_batch(Planted(task=task, shape=shape, train_size=30))
    if task == "missing":
        _assert_shares_make_the_batch(Planted(task=task, shape="speech_text", train_size=30))
