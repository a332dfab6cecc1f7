"""The wordings that name a digit, by word and by numeral."""

_NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

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
        for name in (_NAMES[digit], str(digit))
        for wording in _WORDINGS
    )


DIGIT_CAPTIONS = tuple(_captions(digit) for digit in range(10))
