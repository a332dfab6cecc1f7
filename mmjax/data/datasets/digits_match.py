"""The match task on the digits of scikit-learn: minutes on a laptop, without any file."""

from dataclasses import dataclass

from mmjax.data.datasets.caption_match import CaptionMatch
from mmjax.data.datasets.storage import Kind

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_WORDINGS = (
    "{name}",
    "the digit {name}",
    "the number {name}",
    "this is {a} {name}",
    "{a} {name}",
    "a handwritten {name}",
    "a picture of {a} {name}",
    "somebody wrote {a} {name}",
    "this looks like {a} {name}",
    "number {name}",
)


def _captions(digit: int) -> tuple[str, ...]:
    article = "an" if digit == 8 else "a"
    return tuple(
        wording.format(a=article, name=name)
        for name in (NAMES[digit], str(digit))
        for wording in _WORDINGS
    )


DIGIT_CAPTIONS = tuple(_captions(digit) for digit in range(10))


@dataclass(frozen=True)
class DigitsMatch(CaptionMatch):
    """1,797 digits of 8 x 8 pixels, each with captions that name it or another digit."""

    captions = DIGIT_CAPTIONS

    @staticmethod
    def builder() -> Kind:
        from mmjax.data.datasets.digits import Digits

        return Digits
