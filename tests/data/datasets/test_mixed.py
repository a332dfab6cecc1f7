import dataclasses

import numpy as np
import pytest

from mmjax.data.dataset import Dataset, Examples, Source
from mmjax.data.datasets import DigitsMatch, Mixed
from mmjax.data.pipeline.batches import eval_batches, train_batches
from mmjax.data.preprocessing import Preprocessing
from mmjax.data.targets import Binary, Number
from mmjax.data.transforms.features import FeatureTransform


class Rows(Source):
    """Numbers `start`, `start + 1`, ...; each is shown by the modality and is the target too."""

    def __init__(self, part):
        self.part = part

    def __len__(self):
        return self.part.size

    def read(self, indices, rng, own=slice(None)):
        noise = 0 if rng is None else rng.random(len(indices))[own] / 100
        values = self.part.start + indices[own] + noise
        return Examples(
            {self.part.modality: values[:, None, None].astype(np.float32)},
            {self.part.target: np.floor(values)},
        )


@dataclasses.dataclass(frozen=True)
class Numbers(Dataset):
    modality: str
    target: str
    start: int
    size: int

    def prepare(self):
        pass

    def preprocessing(self):
        transform = FeatureTransform(mean=(0.0,), std=(1.0,), max_tokens=1)
        return Preprocessing({self.modality: transform}, {self.target: Number(0.0, 1.0)})

    def source(self, split):
        return Rows(self)


PARTS = {"small": Numbers("a", "x", 0, 6), "large": Numbers("b", "y", 100, 30)}


def batches(data, count, **read):
    source, preprocessing = data.source("train"), data.preprocessing()
    stream = train_batches(data, source, preprocessing, batch_size=12, seed=0, start=0, **read)
    return [next(stream) for _ in range(count)]


def test_what_a_part_lacks_is_missing_in_its_examples():
    data = Mixed(PARTS)
    (batch,) = eval_batches(data.source("test"), data.preprocessing(), batch_size=36)
    small = np.arange(36) < 6
    np.testing.assert_array_equal(batch.inputs["a"].mask[:, 0], small)
    np.testing.assert_array_equal(batch.inputs["b"].mask[:, 0], ~small)
    np.testing.assert_array_equal(batch.targets["x"].mask, small)
    np.testing.assert_array_equal(batch.targets["y"].values[~small], 100 + np.arange(30))


def test_without_rates_an_epoch_has_every_example_once():
    values = np.concatenate(
        [b.targets["y"].values[b.targets["y"].mask] for b in batches(Mixed(PARTS), 3)]
    )
    np.testing.assert_array_equal(np.sort(values), 100 + np.arange(30))


def test_rates_say_how_often_a_part_is_drawn_and_every_example_has_its_turn():
    data = Mixed(PARTS, {"small": 3.0, "large": 1.0})
    drawn = batches(data, 60)
    share = np.mean([b.targets["x"].mask for b in drawn])
    np.testing.assert_allclose(share, 0.75)
    seen = {v for b in drawn for v in b.targets["y"].values[b.targets["y"].mask]}
    assert len(seen) == 30  # 9 places an epoch, 30 examples, 20 epochs
    assert len(data.source("test")) == 36


def test_an_example_is_the_same_whichever_process_reads_it():
    data = Mixed(PARTS, {"small": 1.0, "large": 1.0})
    whole = batches(data, 2)
    halves = [batches(data, 2, share=(part, 2)) for part in range(2)]
    for step in range(2):
        for name in ("a", "b"):
            joined = np.concatenate([half[step].inputs[name].values for half in halves])
            np.testing.assert_array_equal(joined, whole[step].inputs[name].values)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: Mixed(PARTS, {"small": 1.0}), "data.rates: expected one for each of"),
        (lambda: Mixed(PARTS, {"small": 0.0, "large": 1.0}), "numbers above 0"),
        (lambda: Mixed({"a": PARTS["small"]}).bound((), ()), "two data sets or more, got"),
        (lambda: Mixed({"a": DigitsMatch(word_dropout=0.1)}), "data.parts.a: changes whole"),
    ],
)
def test_what_cannot_be_mixed_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_one_name_for_two_kinds_is_refused():
    @dataclasses.dataclass(frozen=True)
    class Other(Numbers):
        def preprocessing(self):
            return Preprocessing(super().preprocessing().transforms, {self.target: Binary()})

    data = Mixed({"one": PARTS["small"], "two": Other("b", "x", 0, 5)})
    with pytest.raises(ValueError, match=r"data\.parts\.two: 'x' is Binary, and Number in a part"):
        data.preprocessing()
