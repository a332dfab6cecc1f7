"""The match task on Fashion-MNIST."""

from dataclasses import dataclass

from mmjax.data.dataset import Place
from mmjax.data.datasets.caption_match import CaptionMatch
from mmjax.data.datasets.storage import Kind

# In the order of the classes. No name fits two classes, though "t-shirt" contains "shirt".
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
    """70,000 clothes of 28 x 28 pixels, each with captions that name it or another kind."""

    manual_dir: Place = None  # folder with the four official IDX files; none: they are downloaded

    captions = tuple(
        tuple(wording.format(name=name) for name in names for wording in _WORDINGS)
        for names in _NAMES
    )

    @staticmethod
    def builder() -> Kind:
        from mmjax.data.datasets.mnist import FashionMnist

        return FashionMnist
