"""The match task on Fashion-MNIST."""

from dataclasses import dataclass

import numpy as np

from mmjax.data.dataset import Place
from mmjax.data.datasets import storage
from mmjax.data.datasets.caption_match import CaptionMatch

# In the order of the classes. No name fits two of them, though "shirt" is a part of "t-shirt".
_NAMES = (
    ("a t-shirt", "a tee", "a short-sleeved top"),
    ("trousers", "a pair of trousers", "a pair of pants"),
    ("a pullover", "a sweater", "a jumper"),
    ("a dress", "a frock", "a gown"),
    ("a coat", "an overcoat", "a jacket"),
    ("a sandal", "a pair of sandals", "an open shoe"),
    ("a shirt", "a button-up shirt", "a blouse"),
    ("a sneaker", "a pair of sneakers", "a trainer"),
    ("a bag", "a handbag", "a purse"),
    ("an ankle boot", "a pair of ankle boots", "a boot"),
)

_WORDINGS = (
    "{name}",
    "this is {name}",
    "this shows {name}",
    "a picture of {name}",
    "here we see {name}",
    "{name} in grey",
)


@dataclass(frozen=True)
class FashionMatch(CaptionMatch):
    """70,000 pieces of clothing of 28 x 28 pixels, with captions that name it or another kind."""

    manual_dir: Place = None  # Folder with the four official IDX files; none: they are downloaded

    captions = tuple(
        tuple(wording.format(name=name) for name in names for wording in _WORDINGS)
        for names in _NAMES
    )

    def prepare(self) -> None:
        """Build it from the files in `manual_dir`, or download them."""
        from mmjax.data.datasets.fashion_mnist import FashionMnist

        storage.prepare(FashionMnist, data_dir=self.data_dir, manual_dir=self.manual_dir)

    def columns(self, split: str) -> tuple[np.ndarray, np.ndarray]:
        """Images uint8 [n, 28, 28, 1] and kinds int [n], in the official order of the classes."""
        from mmjax.data.datasets.fashion_mnist import FashionMnist

        found = storage.columns(
            FashionMnist, split, data_dir=self.data_dir, manual_dir=self.manual_dir
        )
        return found["image"], found["label"]
