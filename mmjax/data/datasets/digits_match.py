"""The match task on the small digits that come with scikit-learn: minutes on a laptop, no file."""

from dataclasses import dataclass

import numpy as np

from mmjax.data.datasets import storage
from mmjax.data.datasets.caption_match import CaptionMatch
from mmjax.data.datasets.digit_captions import DIGIT_CAPTIONS


@dataclass(frozen=True)
class DigitsMatch(CaptionMatch):
    """1,797 digits of 8 x 8 pixels, each with captions that name it or another digit."""

    captions = DIGIT_CAPTIONS

    def prepare(self) -> None:
        """Build it from what scikit-learn carries."""
        from mmjax.data.datasets.digits import Digits

        storage.prepare(Digits, data_dir=self.data_dir)

    def columns(self, split: str) -> tuple[np.ndarray, np.ndarray]:
        """Images uint8 [n, 8, 8, 1] and digits int [n]."""
        from mmjax.data.datasets.digits import Digits

        found = storage.columns(Digits, split, data_dir=self.data_dir)
        return found["image"], found["label"]
