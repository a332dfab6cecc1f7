"""MNIST and Fashion-MNIST match as PyTorch reads them: the same images, captions and pairs."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, cast

import captions
import made_up
import numpy as np
import torch  # pyright: ignore[reportMissingImports]

import mmjax


def loader(task: captions.Task, workers: int, seed: int = 0) -> Iterator[Any]:
    """Without end: a DataLoader over whole batches, which it is fastest with."""
    rows, source = task.rows(), task.source
    images = np.ascontiguousarray(np.transpose(rows["image"].values, (0, 3, 1, 2)))
    words = np.asarray(rows["text"].values, np.int64)
    last = np.maximum(np.sum(rows["text"].mask, axis=1) - 1, 0)
    found = torch.utils.data.DataLoader(
        cast(Any, _Pairs(source, images, words, last, seed)),
        batch_size=made_up.BATCH, shuffle=True, num_workers=workers, drop_last=True,
        collate_fn=_as_it_is, persistent_workers=workers > 0,
        multiprocessing_context="spawn" if workers else None,  # JAX's threads forbid a fork
    )  # fmt: skip
    while True:
        yield from found


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
        rng = np.random.default_rng([self.seed, indices[0]])
        rows, targets = self.source.pick(np.asarray(indices), rng)
        text = rows["text"]
        found = (self.images[rows["image"]], self.words[text], self.last[text], targets["match"])
        return tuple(torch.from_numpy(np.asarray(x)) for x in found)


def _as_it_is(batch: Any) -> Any:
    return batch


def loss_of(batch: Any, channels_last: bool) -> Callable[[Any], Any]:
    """The loss of a network on a batch of the loader."""
    image, words, last, labels = batch
    if channels_last:
        image = image.contiguous(memory_format=torch.channels_last)
    loss = torch.nn.functional.binary_cross_entropy_with_logits
    return lambda net: loss(net(image, words, last), labels.float())


def test_split(task: captions.Task) -> list[Any]:
    """Batches of images, words, ends and labels; the fillers of the last one left out."""
    found = []
    for batch in mmjax.eval_batches(task.data.source("test"), task.preprocessing, batch_size=256):
        real = batch.weight > 0
        image, text = batch.inputs["image"], batch.inputs["text"]
        arrays = (
            np.ascontiguousarray(np.transpose(image.values, (0, 3, 1, 2))),
            np.asarray(text.values, np.int64),
            np.maximum(np.sum(text.mask, axis=1) - 1, 0),
            batch.targets["match"].values,
        )
        found.append([torch.from_numpy(np.asarray(x)[real]) for x in arrays])
    return found
