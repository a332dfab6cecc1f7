"""The match task with speech: does the recording say the digit in the image?"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from mmjax.data.dataset import SPLITS, Place
from mmjax.data.datasets import storage
from mmjax.data.datasets.match import Match
from mmjax.data.datasets.storage import Kind
from mmjax.data.transforms.audio import AudioTransform
from mmjax.errors import UserError

Speaker = Literal["george", "jackson", "lucas", "nicolas", "theo", "yweweler"]
SPEAKERS: tuple[Speaker, ...] = get_args(Speaker)


@dataclass(frozen=True)
class SpokenMatch(Match):
    """scikit-learn's 1,797 digits of 8 x 8 pixels, paired with 3,000 recordings of spoken ones.

    Images and recordings are of the same split. With a speaker held out, the test split has all of
    that person's recordings, and the others have none of them.
    """

    manual_dir: Place = None  # folder with free-spoken-digit-dataset.tar.gz
    # Longer recordings are cut. 8,000 samples are a second; 99 of 100 recordings are shorter.
    max_samples: int = 8000
    held_out: Speaker | None = None  # whose recordings are tested on, and heard nowhere else
    image_noise: float = 0.0  # standard deviation of noise on all images, in shares of the range
    speech_noise: float | None = None  # signal-to-noise ratio of all recordings, in dB; none: clean

    modality = "speech"

    def __post_init__(self) -> None:
        if self.held_out not in (None, *SPEAKERS):
            raise UserError(f"held_out: got {self.held_out!r}, choose from {', '.join(SPEAKERS)}")
        if not 0 <= self.image_noise < np.inf:
            raise UserError(f"image_noise: expected 0 or more, got {self.image_noise}")

    @staticmethod
    def builder() -> Kind:
        from mmjax.data.datasets.digits import Digits

        return Digits

    def prepare(self) -> None:
        """Build the recordings from the file in `manual_dir`, and the images."""
        from mmjax.data.datasets.fsdd import Fsdd

        storage.prepare(Fsdd, data_dir=self.data_dir, manual_dir=self.manual_dir)
        super().prepare()

    def columns(self, split: str) -> tuple[np.ndarray, np.ndarray]:
        """Images uint8 `[n, h, w, c]` and classes int `[n]` of a split, with the noise."""
        images, labels = super().columns(split)
        if self.image_noise:
            noise = _random(split, 0).standard_normal(images.shape) * 255 * self.image_noise
            images = np.clip(np.rint(images + noise), 0, 255).astype(np.uint8)
        return images, labels

    def recordings(self, split: str) -> tuple[list[np.ndarray], np.ndarray]:
        """Recordings int16 `[sample]`, 8,000 a second, and the digit of each, with the noise."""
        from mmjax.data.datasets.fsdd import Fsdd

        places = {"data_dir": self.data_dir, "manual_dir": self.manual_dir}
        audio, digits = [], []
        for part in SPLITS if split == "test" and self.held_out else (split,):
            rows = storage.columns(Fsdd, part, **places)
            chosen = np.ones(len(rows["label"]), bool)
            if self.held_out is not None:
                chosen = (rows["speaker"].astype(str) == self.held_out) == (split == "test")
            audio += [rows["audio"][i] for i in np.flatnonzero(chosen)]
            digits.append(rows["label"][chosen])
        if self.speech_noise is not None:
            random = _random(split, 1)
            audio = [_noisy(samples, self.speech_noise, random) for samples in audio]
        return audio, np.concatenate(digits)

    def partners(self, split: str) -> Sequence[Sequence[np.ndarray]]:
        """Recordings of each digit."""
        audio, digits = self.recordings(split)
        return [[audio[i] for i in np.flatnonzero(digits == digit)] for digit in range(10)]

    def partner_transform(self) -> AudioTransform:
        """Nothing is fitted."""
        return AudioTransform(sample_rate=8000, max_samples=self.max_samples)


def _random(split: str, place: int) -> np.random.RandomState:
    return np.random.RandomState([zlib.crc32(split.encode()), place])  # its numbers never change


def _noisy(samples: np.ndarray, ratio: float, random: np.random.RandomState) -> np.ndarray:
    """A recording int16 with white noise at a signal-to-noise ratio in dB."""
    power = np.mean(np.square(samples, dtype=np.float64))
    noise = random.standard_normal(samples.shape) * np.sqrt(power / 10 ** (ratio / 10))
    return np.clip(np.rint(samples + noise), -(2**15), 2**15 - 1).astype(np.int16)
