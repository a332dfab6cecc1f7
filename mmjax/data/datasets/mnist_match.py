"""The match task on MNIST."""

from dataclasses import dataclass

from mmjax.data.dataset import Place
from mmjax.data.datasets.caption_match import CaptionMatch
from mmjax.data.datasets.digits_match import DIGIT_CAPTIONS
from mmjax.data.datasets.storage import Kind


@dataclass(frozen=True)
class MnistMatch(CaptionMatch):
    """70,000 digits of 28 x 28 pixels, each with captions that name it or another digit."""

    manual_dir: Place = None  # folder with the four official IDX files; none: they are downloaded

    captions = DIGIT_CAPTIONS

    @staticmethod
    def builder() -> Kind:
        from mmjax.data.datasets.mnist import Mnist

        return Mnist
