"""The match task with speech: does the recording say the digit in the image?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mmjax.data.dataset import Place
from mmjax.data.datasets import storage
from mmjax.data.datasets.match import Match
from mmjax.data.datasets.storage import Kind
from mmjax.data.transforms.audio import AudioTransform


@dataclass(frozen=True)
class SpokenMatch(Match):
    """scikit-learn's 1,797 digits of 8 x 8 pixels, paired with 3,000 recordings of spoken ones.

    Images and recordings are of the same split.
    """

    manual_dir: Place = None  # folder with free-spoken-digit-dataset.tar.gz
    # Longer recordings are cut. 8,000 samples are a second; 99 of 100 recordings are shorter.
    max_samples: int = 8000

    modality = "speech"

    @staticmethod
    def builder() -> Kind:
        from mmjax.data.datasets.digits import Digits

        return Digits

    def prepare(self) -> None:
        """Build the recordings from the file in `manual_dir`, and the images."""
        from mmjax.data.datasets.fsdd import Fsdd

        storage.prepare(Fsdd, data_dir=self.data_dir, manual_dir=self.manual_dir)
        super().prepare()

    def partners(self, split: str) -> Sequence[Sequence[np.ndarray]]:
        """Recordings of each digit: int16 `[sample]`, 8,000 a second."""
        from mmjax.data.datasets.fsdd import Fsdd

        rows = storage.columns(Fsdd, split, data_dir=self.data_dir, manual_dir=self.manual_dir)
        return [list(rows["audio"][rows["label"] == digit]) for digit in range(10)]

    def partner_transform(self) -> AudioTransform:
        """Nothing is fitted."""
        return AudioTransform(sample_rate=8000, max_samples=self.max_samples)
