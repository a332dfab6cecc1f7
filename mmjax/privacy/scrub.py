"""Scrubs free text: e-mail addresses, IBANs, phone numbers, dates, names, identifiers of the row.

Phones by phonenumbers (Google's libphonenumber), IBANs (ISO 13616) checked by python-stdnum.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from mmjax.errors import MissingPackageError, UserError
from mmjax.privacy.names import Names

KINDS = ("ID", "EMAIL", "IBAN", "DATE", "PHONE", "NAME")  # the earlier one is believed
EMAIL = re.compile(r"[\w.%+-]+ ?(?:@|\(at\)|\[at\]) ?[\w-]+(?:\.[\w-]+)+")
_IBAN = re.compile(r"\b[A-Za-z]{2}\d{2}(?:[ -]?[A-Za-z0-9]){11,30}\b")
_MONTHS = (
    r"(?:jan(?:uary|uar|vier)?|feb(?:ruary|ruar)?|f[ée]vrier|mar(?:ch|s)?|märz|apr(?:il)?|avril"
    r"|may|mai|jun[ei]?|juin|jul[yi]?|juillet|aug(?:ust)?|août|sep(?:t|tember|tembre)?"
    r"|o[ck]t(?:ober|obre)?|nov(?:ember|embre)?|de[cz](?:ember)?|décembre|enero|febrero|marzo"
    r"|abril|mayo|junio|julio|agosto|septiembre|octubre|noviembre|diciembre)\.?"
)
_DAY = r"(?:0?[1-9]|[12]\d|3[01])(?:st|nd|rd|th|\.|er)?"
_YEAR = r"(?:1[89]|20)\d\d"
_DATE = re.compile(
    rf"\b(?:{_YEAR}[-/.](?:0?[1-9]|1[0-2])[-/.](?:0?[1-9]|[12]\d|3[01])(?:T\d\d:\d\d(?::\d\d)?Z?)?"
    rf"|(?:0?[1-9]|[12]\d|3[01])([-/.])(?:0?[1-9]|[12]\d|3[01])\1(?:{_YEAR}|\d\d)"
    rf"|{_DAY}(?: of| de)? {_MONTHS}(?:,? (?:de )?{_YEAR})?"
    rf"|{_MONTHS} {_DAY}(?:,? {_YEAR})?"
    rf"|{_MONTHS}(?: de)? {_YEAR})(?!\w)",
    re.IGNORECASE,
)
_DIGITS = re.compile(r"(?:\d[^\w\n]{0,3}){7}")
_PART = re.compile(r"[^\W_]{4,}")


class Span(NamedTuple):
    """A piece of a text to be replaced."""

    start: int
    end: int
    kind: str


class Scrubber:
    """Finds and replaces what identifies people. Phones without + are those of `regions`."""

    def __init__(self, names: Names, regions: Sequence[str]) -> None:
        try:
            import phonenumbers
            from stdnum import iban
        except ModuleNotFoundError as error:
            raise MissingPackageError(
                f"scrubbing texts needs an extra: pip install 'mmjax[anonymise]' ({error.name} is "
                "missing)"
            ) from None
        for region in regions:
            if region not in phonenumbers.SUPPORTED_REGIONS:
                raise UserError(f"--regions {region}: expected a country in ISO 3166, such as DE")
        self._names = names
        self._regions, self._phonenumbers, self._iban = tuple(regions), phonenumbers, iban

    def unread(self) -> "Scrubber":
        """A scrubber with these names and regions that has read no text."""
        return Scrubber(self._names.unread(), self._regions)

    def read(self, text: str) -> None:
        """Learn from a text which names are also words; all texts, before the first is scrubbed."""
        self._names.read(EMAIL.sub(" ", text))

    def scrubbed(self, text: str, identifiers: Collection[str] = ()) -> tuple[str, list[str]]:
        """The text with [EMAIL] and so on in place of what was found, and their kinds."""
        parts, last, kinds = [], 0, []
        for start, end, kind in self.spans(text, identifiers):
            parts += [text[last:start], f"[{kind}]"]
            last = end
            kinds.append(kind)
        return "".join([*parts, text[last:]]), kinds

    def spans(self, text: str, identifiers: Collection[str] = ()) -> list[Span]:
        """What is to be replaced, in order, without overlaps: where two do, the earlier kind."""
        taken = bytearray(len(text))
        spans = []
        for kind in KINDS:
            for start, end in self._found(kind, text, identifiers):
                while start < end and taken[start]:
                    start += 1
                end = next((i for i in range(start, end) if taken[i]), end)
                if text[start:end].strip(" ,.;"):
                    taken[start:end] = b"\1" * (end - start)
                    spans.append(Span(start, end, kind))
        return sorted(spans)

    def _found(
        self, kind: str, text: str, identifiers: Collection[str]
    ) -> Iterator[tuple[int, int]]:
        match kind:
            case "ID":
                if words := identifying(identifiers):
                    yield from (match.span() for match in words.finditer(text))
            case "EMAIL":
                yield from (match.span() for match in EMAIL.finditer(text))
            case "IBAN":
                yield from self._ibans(text)
            case "PHONE" if _DIGITS.search(text):
                yield from self._phones(text)
            case "DATE":
                yield from (match.span() for match in _DATE.finditer(text))
            case "NAME":
                yield from self._names.spans(text)

    def _phones(self, text: str) -> Iterator[tuple[int, int]]:
        """Numbers of nine digits that exist in a region; after +, ( or 0 any of a right length."""
        phones = self._phonenumbers
        for region in self._regions or (None,):
            for match in phones.PhoneNumberMatcher(text, region, phones.Leniency.POSSIBLE):
                digits = sum(map(str.isdigit, match.raw_string))
                exists = digits >= 9 and phones.is_valid_number(match.number)
                if exists or match.raw_string[0] in "+(0":
                    yield match.start, match.end

    def _ibans(self, text: str) -> Iterator[tuple[int, int]]:
        """IBANs whose check digits are right, also where words follow without a mark."""
        for match in _IBAN.finditer(text):
            start, end = match.span()
            while end - start >= 15:
                if text[end - 1].isalnum() and self._iban.is_valid(text[start:end]):
                    yield start, end
                    break
                end -= 1


def identifying(values: Collection[str]) -> re.Pattern | None:
    """Finds identifiers of a row as whole words: each value, and each of its longer words."""
    wanted = {value for value in values if len(value) >= 3}
    for value in values:
        wanted |= set(_PART.findall(value))
    longest = sorted(wanted, key=len, reverse=True)
    words = "|".join(re.escape(word) for word in longest)
    return re.compile(rf"(?<!\w)(?:{words})(?!\w)", re.IGNORECASE) if words else None
