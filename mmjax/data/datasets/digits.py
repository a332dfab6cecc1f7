"""The 1,797 handwritten digits of scikit-learn, 8 x 8: Alpaydin and Kaynak 1998.

https://archive.ics.uci.edu/dataset/80/optical+recognition+of+handwritten+digits
"""

from collections.abc import Iterator

import numpy as np
import tensorflow_datasets as tfds

_SHARES = {"train": 0.7, "validation": 0.1, "test": 0.2}


class Digits(tfds.core.GeneratorBasedBuilder):
    """Comes with scikit-learn: nothing to download."""

    name = "mmjax_digits"
    VERSION = tfds.core.Version("1.0.0")

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=(
                "The test part of the Optical Recognition of Handwritten Digits data set, as "
                "scikit-learn carries it: 1,797 digits of 8 x 8 pixels in 17 grey levels, here "
                "0..255. Split 70/10/20 within each class by a fixed permutation."
            ),
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Tensor(
                        shape=(8, 8, 1), dtype=np.uint8, encoding="bytes"
                    ),
                    "label": tfds.features.ClassLabel(names=[str(digit) for digit in range(10)]),
                }
            ),
            supervised_keys=("image", "label"),
            homepage="https://archive.ics.uci.edu/dataset/80/"
            "optical+recognition+of+handwritten+digits",
            citation="""@misc{optical_recognition_of_handwritten_digits_80,
  author = {Alpaydin, E. and Kaynak, C.},
  title  = {{Optical Recognition of Handwritten Digits}},
  year   = {1998},
  howpublished = {UCI Machine Learning Repository},
  doi    = {10.24432/C50P49},
}""",
            license="CC BY 4.0",
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator]:
        from sklearn.datasets import load_digits

        levels, labels = load_digits(return_X_y=True)
        images = np.rint(levels * (255 / 16)).astype(np.uint8).reshape(-1, 8, 8, 1)
        return {
            split: self._generate_examples(images[chosen], labels[chosen])
            for split, chosen in _split(labels).items()
        }

    def _generate_examples(self, images: np.ndarray, labels: np.ndarray) -> Iterator:
        for key, (image, label) in enumerate(zip(images, labels, strict=True)):
            yield key, {"image": image, "label": int(label)}


def _split(labels: np.ndarray) -> dict[str, np.ndarray]:
    """Positions of each split, the classes in the same shares in each."""
    # RandomState's numbers are frozen for ever, a Generator's are not.
    random = np.random.RandomState(0)
    parts: dict[str, list[np.ndarray]] = {split: [] for split in _SHARES}
    bounds = np.cumsum(list(_SHARES.values()))[:-1]
    for label in np.unique(labels):
        members = random.permutation(np.flatnonzero(labels == label))
        cuts = np.rint(bounds * len(members)).astype(int)
        for split, part in zip(_SHARES, np.split(members, cuts), strict=True):
            parts[split].append(part)
    return {split: np.sort(np.concatenate(found)) for split, found in parts.items()}
