"""Names of people in texts: lists of names, what stands before them, and what stands beside them.

The lists are those of Faker, https://faker.readthedocs.io, with a file of the user's own.
"""

import calendar
import functools
import importlib
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from mmjax.errors import MissingPackageError, UserError
from mmjax.io.safe_open import read_file

LOCALES = (
    *("en_US", "en_GB", "en_IN", "en_NG", "de_DE", "fr_FR", "es_ES", "es_MX", "it_IT", "pt_BR"),
    *("nl_NL", "pl_PL", "cs_CZ", "ro_RO", "hu_HU", "hr_HR", "tr_TR", "sv_SE", "da_DK", "fi_FI"),
    *("yo_NG", "tw_GH", "id_ID", "vi_VN"),
)
_WORD = re.compile(r"[^\W\d_]+(?:['\u2019-][^\W\d_]+)*")
_TITLE = re.compile(
    r"\b(?:mr|mrs|ms|miss|mx|dr|prof|professor|doctor|nurse|sister|herrn?|frau|mme|mlle|monsieur"
    r"|madame|señora?|sra?|signora?|sig|dott|dhr|mevrouw|pan|pani)\b\.?\s+",
    re.IGNORECASE,
)
_CUE = re.compile(
    r"\b(?:my name is|name:|i am called|called|signed,?|regards,?|sincerely,?|yours,?|ich heiße"
    r"|mein name ist|je m'appelle|me llamo|mi chiamo)\s+",
    re.IGNORECASE,
)
_DATED = {name.lower() for name in (*calendar.month_name, *calendar.day_name)}
_PARTICLES = {"de", "del", "della", "di", "da", "dos", "van", "von", "der", "den", "la", "le"}
_NO_NAME = {"the", "a", "an", "and", "or", "was", "is", "who", "at", "in", "on", "by", "for", "to"}


class Names:
    """Finds names, better after it has read the texts with `read`."""

    def __init__(self, first: Collection[str], last: Collection[str]) -> None:
        self._first, self._last = frozenset(first), frozenset(last)
        self._small: Counter[str] = Counter()  # how much oftener small than with a capital

    def unread(self) -> "Names":
        """The same lists, before any text was read."""
        return Names(self._first, self._last)

    def read(self, text: str) -> None:
        """Count names that are also words: will, white; the texts write them small."""
        for word in _WORD.findall(text):
            lower = word.lower()
            if self._listed(lower):
                self._small[lower] += 1 if word == lower else -1

    def _listed(self, word: str) -> bool:
        return word in self._first or word in self._last

    def _common(self, word: str) -> bool:
        return word in self._small and self._small[word] >= 0

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where names stand: (start, end) of each run of words."""
        words = [match for match in _WORD.finditer(text)]
        marked = [False] * len(words)
        for index in range(len(words)):
            if self._begins(text, words, index):
                marked[index] = True
                self._extend(text, words, marked, index)
        for pattern, small in ((_TITLE, False), (_CUE, True)):
            for before in pattern.finditer(text):
                self._after(text, words, marked, before.end(), small)
        known = {words[i].group().lower() for i in range(len(words)) if marked[i]}
        for index, word in enumerate(words):  # whoever was named once is found again
            lower = word.group().lower()
            named = lower in known - _PARTICLES and not self._common(lower)
            marked[index] |= named and word.group()[0].isupper()
        return list(_runs(text, words, marked))

    def _begins(self, text: str, words: Sequence[re.Match], index: int) -> bool:
        """Whether a word is a name by itself."""
        word = words[index].group()
        lower = word.lower()
        if not word[0].isupper() or lower in _DATED or len(word) < 2 or not self._listed(lower):
            return False
        if not self._common(lower) and (lower in self._first or not _starts(text, words[index])):
            return True
        following = words[index + 1 : index + 2]
        if any(text[words[index].end() : w.start()] == ", " for w in following):
            return following[0].group().lower() in self._first  # Lopez, Maria
        # A word that is also no name: another name beside it, or a capital within a sentence.
        beside = [w for w in following if _adjacent(text, words[index], w)]
        if any(w.group()[0].isupper() and self._listed(w.group().lower()) for w in beside):
            return True
        return not _starts(text, words[index]) and not text.isupper()

    def _extend(self, text: str, words: Sequence[re.Match], marked: list[bool], index: int) -> None:
        """Mark what follows a first name: up to two capitals, and particles between them."""
        if words[index].group().lower() not in self._first:
            return
        taken, last = 0, index
        for position in range(index + 1, len(words)):
            word = words[position].group()
            if taken == 2 or not _adjacent(text, words[position - 1], words[position]):
                break
            if word[0].isupper() and word.lower() not in _NO_NAME | _DATED:
                if word.isupper() and len(word) > 1 and not self._listed(word.lower()):
                    break
                taken, last = taken + 1, position
            elif word not in _PARTICLES:
                break
        marked[index + 1 : last + 1] = [True] * (last - index)

    def _after(
        self, text: str, words: Sequence[re.Match], marked: list[bool], start: int, small: bool
    ) -> None:
        """Mark the words after a title or a cue: capitals, after a cue also small listed names."""
        previous = None
        for index, word in enumerate(words):
            if word.start() < start:
                continue
            if (previous is None and word.start() > start + 1) or (
                previous is not None and not _adjacent(text, previous, word)
            ):
                return
            lower = word.group().lower()
            capital = word.group()[0].isupper() and lower not in _NO_NAME
            if not (capital or word.group() in _PARTICLES or (small and self._listed(lower))):
                return
            marked[index], previous = True, word


def _starts(text: str, word: re.Match) -> bool:
    """Whether a word stands at the start of a sentence or a line."""
    before = text[: word.start()].rstrip(" \t\"'(„“«")
    return not before or before[-1] in ".!?:\n"


def _adjacent(text: str, left: re.Match, right: re.Match) -> bool:
    """Only blanks, or the full stop of an initial, lie between two words."""
    between = text[left.end() : right.start()]
    initial = len(left.group()) == 1 and between.startswith(".")
    return "\n" not in between and not between.removeprefix("." if initial else "").strip(" ")


def _runs(
    text: str, words: Sequence[re.Match], marked: Sequence[bool]
) -> Iterator[tuple[int, int]]:
    start = None
    for index, word in enumerate(words):
        if marked[index]:
            start = word.start() if start is None else start
            following = index + 1 < len(words) and marked[index + 1]
            if not (following and _adjacent(text, word, words[index + 1])):
                yield start, word.end()
                start = None


@functools.cache
def _lists(locales: tuple[str, ...]) -> tuple[frozenset[str], frozenset[str]]:
    first: set[str] = set()
    last: set[str] = set()
    for locale in locales:
        try:
            provider = importlib.import_module(f"faker.providers.person.{locale}").Provider
        except ModuleNotFoundError as error:
            if error.name == "faker":
                raise MissingPackageError(
                    "names in texts need an extra: pip install 'mmjax[anonymise]' (faker is "
                    "missing)"
                ) from None
            raise UserError(
                f"--locales {locale}: expected a locale of Faker, such as de_DE"
            ) from None
        for kind in ("first_names", "first_names_female", "first_names_male"):
            first |= {name.lower() for name in getattr(provider, kind, ())}
        last |= {name.lower() for name in getattr(provider, "last_names", ())}
    return frozenset(first), frozenset(last)


def names(locales: Sequence[str] = LOCALES, file: Path | None = None) -> Names:
    """The lists of some locales, and the names of a file, one a line.

    Raises:
        MissingPackageError: Faker is not installed.
        UserError: no such locale, or the file cannot be read.
    """
    first, last = _lists(tuple(locales))
    if file is None:
        return Names(first, last)
    expected = f"--names {file}: expected a text file in UTF-8 with a name on each line"
    try:
        own = read_file(file, expected, 10_000_000).decode("utf-8-sig").lower()
    except UnicodeDecodeError as error:
        raise UserError(f"{expected}: {error}") from None
    words = set(_WORD.findall(own))
    return Names(first | words, last | words)
