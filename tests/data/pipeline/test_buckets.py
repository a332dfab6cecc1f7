import contextlib
import functools
import itertools

import jax
import numpy as np
import pytest

from mmjax.data.dataset import Dataset, Examples, Source
from mmjax.data.pipeline import buckets
from mmjax.data.pipeline.batches import train_batches
from mmjax.data.preprocessing import Preprocessing
from mmjax.data.targets import Binary
from mmjax.data.transforms.features import FeatureTransform
from mmjax.data.transforms.image import ImageTransform
from mmjax.data.transforms.text import TextTransform
from mmjax.devices import processes
from mmjax.encoders import Cnn, Lstm, Tcn
from mmjax.fusion import Concat
from mmjax.heads import Logit
from mmjax.models.multimodal import Multimodal
from mmjax.models.train_state import create_state
from mmjax.objectives import BinaryCrossEntropy
from mmjax.optim import Sgd
from mmjax.train.loop.stream import same_length
from mmjax.train.step.step import train_step

WORDS = 16
TEXT = TextTransform.fit(["a b c"], vocabulary_size=9, max_words=WORDS)
PREPROCESSING = Preprocessing(
    {
        "image": ImageTransform((4, 4, 1), (0.0,), (1 / 255,)),
        "text": TEXT,
        "series": FeatureTransform(max_tokens=12, mean=(0.0, 0.0), std=(1.0, 1.0)),
    },
    {"match": Binary()},
)


def _inputs(words, steps):
    return PREPROCESSING({"text": ["a " * n for n in words], "series": [np.ones((steps, 2))] * 2})


@pytest.mark.parametrize(
    "words, steps, count, text, series",
    [
        ((16, 2), 1, 3, 16, 12),
        ((9, 2), 1, 3, 16, 12),
        ((8, 2), 1, 3, 8, 6),
        ((4, 4), 3, 3, 4, 3),
        ((4, 4), 4, 3, 8, 6),  # the series needs more: both are cut alike
        ((1, 1), 1, 3, 4, 3),
        ((1, 1), 1, 1, 16, 12),
        ((0, 0), 0, 9, 1, 1),  # never to nothing
    ],
)
def test_a_batch_is_cut_to_the_smallest_bucket_that_loses_nothing(
    words, steps, count, text, series
):
    given = _inputs(words, steps)
    bucket = buckets.shortest(given, PREPROCESSING, count)
    cut = buckets.cut(given, PREPROCESSING, count, bucket)
    assert cut["text"].values.shape == cut["text"].mask.shape == (2, text)
    assert cut["series"].values.shape == (2, series, 2)
    for name in ("text", "series"):
        assert cut[name].mask.sum() == given[name].mask.sum()
        assert cut[name].values.flags.c_contiguous
    assert cut["image"] is given["image"]


def test_no_bucket_at_all_is_refused():
    with pytest.raises(ValueError, match="buckets: expected at least 1, got 0"):
        buckets.shortest(_inputs((1, 1), 1), PREPROCESSING, 0)


class _Ragged(Source):
    """Captions of 1 to 16 words, most of them short."""

    def __len__(self):
        return 48

    def read(self, indices, rng, own=slice(None)):
        indices = indices[own]
        captions = [" ".join("abc"[(i + k) % 3] for k in range(1 + i % 16 // 3)) for i in indices]
        captions = [f"{captions[k]} " * (4 if i % 11 == 0 else 1) for k, i in enumerate(indices)]
        series = [np.full((1 + i % 3, 2), i / 48) for i in indices]
        pixels = np.repeat(indices.astype(np.uint8), 16).reshape(-1, 4, 4, 1)
        labels = {"match": (indices % 2).astype(np.float32)}
        return Examples({"image": pixels, "text": captions, "series": series}, labels)


class _Data(Dataset):
    def prepare(self): ...

    def preprocessing(self):
        return PREPROCESSING

    def source(self, split):
        return _Ragged()


def _batches(count, start=0, **options):
    options = {"batch_size": 4, "seed": 3, **options, "buckets": count}
    return train_batches(_Data(), _Ragged(), PREPROCESSING, start=start, **options)


def _epoch(count):
    """(parameters after an epoch, programs that were compiled, lengths that came)."""
    model = Multimodal(
        encoders={"image": Cnn((4,), 8), "text": Lstm(9, 4, 8), "series": Tcn(8, 2)},
        fusion=Concat(),
        heads={"match": Logit()},
    )
    tx = Sgd(peak_lr=0.1).chain(12)
    options = {
        "model": model,
        "objectives": {"match": BinaryCrossEntropy(output="match", target="match")},
        "tx": tx,
    }
    step = jax.jit(functools.partial(train_step, **options, axis=None))
    lengths = set()
    with contextlib.closing(_batches(count)) as batches:
        first, *rest = itertools.islice(batches, 12)
    state = create_state(model, tx, first, seed=0)
    for batch in [first, *rest]:
        lengths.add(batch.inputs["text"].values.shape[1])
        state, _ = step(state, batch)
    return state.params, step._cache_size(), lengths


def test_an_epoch_over_ragged_captions_compiles_no_more_programs_than_buckets(standard_promotion):
    """... and padding that is not there is as invisible as padding that is."""
    whole, programs, lengths = _epoch(1)
    assert programs == 1 and lengths == {WORDS}
    params, programs, lengths = _epoch(3)
    assert programs == 3 and lengths == {16, 8, 4}
    for one, other in zip(jax.tree.leaves(whole), jax.tree.leaves(params), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_every_process_has_the_bucket_of_the_whole_batch_and_so_has_one_that_goes_on(monkeypatch):
    with contextlib.closing(_batches(3)) as batches:
        whole = list(itertools.islice(batches, 8))
    shares = [_batches(1, start=2, share=(part, 2)) for part in range(2)]
    with contextlib.closing(shares[0]), contextlib.closing(shares[1]):
        both = [list(itertools.islice(batches, 6)) for batches in shares]
    needed = [[buckets.shortest(x.inputs, PREPROCESSING, 3) for x in own] for own in both]
    assert needed[0] != needed[1]
    for part, own in enumerate(both):
        others = iter(needed[1 - part])
        exchange = lambda: lambda mine: [mine, next(others)]  # noqa: B023, E731
        monkeypatch.setattr(processes, "Exchange", exchange)
        alike = same_length((x for x in own), PREPROCESSING, 3, processes.Watchdog(None))
        for step, batch in enumerate(alike, start=2):
            expected = whole[step].inputs["text"].values[2 * part : 2 * part + 2]
            np.testing.assert_array_equal(batch.inputs["text"].values, expected)
            assert batch.ids.tolist() == whole[step].ids[2 * part : 2 * part + 2].tolist()
