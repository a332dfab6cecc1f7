"""The match task on MNIST."""

from dataclasses import dataclass

import numpy as np

from mmjax.data.dataset import Place
from mmjax.data.datasets import storage
from mmjax.data.datasets.caption_match import CaptionMatch
from mmjax.data.datasets.digit_captions import DIGIT_CAPTIONS


@dataclass(frozen=True)
class MnistMatch(CaptionMatch):
    """70,000 digits of 28 x 28 pixels, each with captions that name it or another digit."""

    manual_dir: Place = None  # Folder with the four official IDX files; none: they are downloaded

    captions = DIGIT_CAPTIONS

    def prepare(self) -> None:
        """Build it from the files in `manual_dir`, or download them."""
        from mmjax.data.datasets.mnist import Mnist

        storage.prepare(Mnist, data_dir=self.data_dir, manual_dir=self.manual_dir)

    def columns(self, split: str) -> tuple[np.ndarray, np.ndarray]:
        """Images uint8 [n, 28, 28, 1] and digits int [n]."""
        from mmjax.data.datasets.mnist import Mnist

        found = storage.columns(Mnist, split, data_dir=self.data_dir, manual_dir=self.manual_dir)
        return found["image"], found["label"]
