"""The match task with speech: does the recording say the digit in the picture?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mmjax.data.dataset import Place
from mmjax.data.datasets import storage
from mmjax.data.datasets.match import Match
from mmjax.data.transforms.audio import AudioTransform


@dataclass(frozen=True)
class SpokenMatch(Match):
    """scikit-learn's 1,797 digits of 8 x 8 pixels, paired with 3,000 recordings of spoken ones.

    Pictures and recordings are of the same split.
    """

    manual_dir: Place = None  # Folder with free-spoken-digit-dataset.tar.gz
    # Longer recordings are cut; 8,000 samples are a second, and 99 of 100 recordings are shorter.
    max_samples: int = 8000

    modality = "speech"

    def prepare(self) -> None:
        """Build both from what scikit-learn carries and from the file in `manual_dir`."""
        from mmjax.data.datasets.digits import Digits
        from mmjax.data.datasets.fsdd import Fsdd

        storage.prepare(Fsdd, data_dir=self.data_dir, manual_dir=self.manual_dir)
        storage.prepare(Digits, data_dir=self.data_dir)

    def columns(self, split: str) -> tuple[np.ndarray, np.ndarray]:
        """Images uint8 [n, 8, 8, 1] and digits int [n]."""
        from mmjax.data.datasets.digits import Digits

        found = storage.columns(Digits, split, data_dir=self.data_dir)
        return found["image"], found["label"]

    def partners(self, split: str) -> Sequence[Sequence[np.ndarray]]:
        """Recordings of each digit: int16 [sample], 8,000 a second."""
        from mmjax.data.datasets.fsdd import Fsdd

        found = storage.columns(Fsdd, split, data_dir=self.data_dir, manual_dir=self.manual_dir)
        return [list(found["audio"][found["label"] == digit]) for digit in range(10)]

    def partner_transform(self) -> AudioTransform:
        """Nothing is fitted: recordings stay as loud as they are."""
        from mmjax.data.datasets.fsdd import Fsdd

        return AudioTransform(sample_rate=Fsdd.SAMPLE_RATE, max_samples=self.max_samples)
