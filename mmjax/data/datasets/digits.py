"""The 1,797 handwritten digits of scikit-learn, 8 x 8: Alpaydin and Kaynak 1998.

https://archive.ics.uci.edu/dataset/80/optical+recognition+of+handwritten+digits
"""

from collections.abc import Iterator

import numpy as np
import tensorflow_datasets as tfds

from mmjax.data.datasets.builder import ImageBuilder

_SHARES = {"train": 0.7, "validation": 0.1, "test": 0.2}


class Digits(ImageBuilder):
    """Part of scikit-learn: nothing is downloaded."""

    name = "mmjax_digits"
    SIDE = 8
    DESCRIPTION = (
        "The test part of the Optical Recognition of Handwritten Digits data set, as scikit-learn "
        "carries it: 1,797 digits of 8 x 8 pixels in 17 grey levels, here 0..255. Split 70/10/20 "
        "within each class by a fixed permutation."
    )
    HOMEPAGE = "https://archive.ics.uci.edu/dataset/80/optical+recognition+of+handwritten+digits"
    CITATION = """@misc{optical_recognition_of_handwritten_digits_80, year = {1998},
  author = {Alpaydin, E. and Kaynak, C.}, doi = {10.24432/C50P49},
  title = {{Optical Recognition of Handwritten Digits}},
  howpublished = {UCI Machine Learning Repository}}"""
    LICENSE = "CC BY 4.0"

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator]:
        from sklearn.datasets import load_digits

        levels, labels = map(np.asarray, load_digits(return_X_y=True))
        images = np.rint(levels * (255 / 16)).astype(np.uint8).reshape(-1, 8, 8, 1)
        return {
            split: self._generate_examples(images[chosen], labels[chosen])
            for split, chosen in _split(labels).items()
        }


def _split(labels: np.ndarray) -> dict[str, np.ndarray]:
    """The indices of each split, with the same shares of every class."""
    random = np.random.RandomState(0)  # unlike a Generator's, its numbers never change
    parts: dict[str, list[np.ndarray]] = {split: [] for split in _SHARES}
    bounds = np.cumsum(list(_SHARES.values()))[:-1]
    for label in np.unique(labels):
        members = random.permutation(np.flatnonzero(labels == label))
        cuts = np.rint(bounds * len(members)).astype(int)
        for split, part in zip(_SHARES, np.split(members, cuts), strict=True):
            parts[split].append(part)
    return {split: np.sort(np.concatenate(found)) for split, found in parts.items()}
