"""MNIST and Fashion-MNIST match: the tutorial's network on them, fed by either pipeline.

Both read the same images and captions, already prepared, and draw pairs by the same rule.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import tutorial
from peer import torch

import mmjax
from mmjax.data.pipeline import held, train_batches

NAMES = {"fashion": mmjax.FashionMatch, "mnist": mmjax.MnistMatch}


class Task:
    """One of the data sets; prepared where it is not yet."""

    def __init__(self, name: str, manual_dir: str | None, data_dir: str | None) -> None:
        self.data = NAMES[name](manual_dir=manual_dir, data_dir=data_dir)
        self.data.prepare()
        self.preprocessing = self.data.preprocessing()
        self.source = self.data.source("train")

    def batches(self, seed: int = 0) -> Iterator[Any]:
        """Ours, without end."""
        return train_batches(
            self.data, self.source, self.preprocessing,
            batch_size=tutorial.BATCH, seed=seed, start=0,
        )  # fmt: skip

    def rows(self) -> dict[str, Any]:
        """Every image and every caption, as our encoders get them."""
        found = held(self.data, self.source, self.preprocessing)
        assert found is not None
        return dict(found)

    def loader(self, workers: int, seed: int = 0) -> Iterator[Any]:
        """PyTorch's, without end: a DataLoader over whole batches, which it is fastest with."""
        assert torch is not None
        rows, source = self.rows(), self.source
        images = np.ascontiguousarray(np.transpose(rows["image"].values, (0, 3, 1, 2)))
        words = np.asarray(rows["text"].values, np.int64)
        last = np.maximum(np.sum(rows["text"].mask, axis=1) - 1, 0)
        loader = torch.utils.data.DataLoader(
            cast(Any, _Pairs(source, images, words, last, seed)),
            batch_size=tutorial.BATCH, shuffle=True, num_workers=workers,
            collate_fn=_as_it_is, persistent_workers=workers > 0,
            drop_last=True,
        )  # fmt: skip
        while True:
            yield from loader


@dataclasses.dataclass
class _Pairs:
    """Pairs of an image and a caption; a whole batch at once, as `__getitems__` allows."""

    source: Any
    images: np.ndarray
    words: np.ndarray
    last: np.ndarray
    seed: int

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Any:
        return self.__getitems__([index])

    def __getitems__(self, indices: list[int]) -> Any:
        assert torch is not None
        rng = np.random.default_rng([self.seed, indices[0]])
        rows, labels = self.source.pick(np.asarray(indices), rng)
        text = rows["text"]
        found = (self.images[rows["image"]], self.words[text], self.last[text], labels["match"])
        return tuple(torch.from_numpy(np.asarray(x)) for x in found)


def _as_it_is(batch: Any) -> Any:
    return batch


def peer_loss(batch: Any, channels_last: bool) -> Any:
    """PyTorch's loss of a network on a batch of the loader."""
    assert torch is not None
    image, words, last, labels = batch
    if channels_last:
        image = image.contiguous(memory_format=torch.channels_last)
    loss = torch.nn.functional.binary_cross_entropy_with_logits
    return lambda net: loss(net(image, words, last), labels)
