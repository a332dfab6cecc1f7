"""Roles proposed from names and cells of columns. A proposal to read, not a decision."""

import re
from pathlib import Path

from mmjax.data.tables import guess
from mmjax.data.tables.columns import ImageColumn, SoundColumn, TextColumn
from mmjax.data.transforms.cells import days, number
from mmjax.io.tables import Format
from mmjax.privacy.roles import Roles

_DIRECT = re.compile(
    r"name|mail|phone|tel|mobile|fax|street|address|iban|account|ssn|passport|insurance|licen[cs]e"
    r"|url|ip"
)
_NUMBERED = re.compile(r"id|mrn|patient|person|user|customer|subject|client|member|case")
_QUASI = re.compile(
    r"age|birth|born|dob|zip|post(al|code)?|plz|city|town|county|state|region|country|sex|gender"
    r"|race|ethnic\w*|nationality|marital|occupation|job|profession|education|religion|date|year"
)
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(\.[\w-]+)+")


def roles(path: Path, format: Format) -> Roles:
    """A role for each column, from its name and the cells of the first 1,000 rows.

    Numbers whose names say nothing are kept; categories whose names say nothing are
    quasi-identifiers. Nothing is proposed as sensitive: that is known to people only.
    """
    found: dict[str, list[str]] = {}
    for column, cells in guess.sample(path, format).items():
        found.setdefault(_role(column, cells), []).append(column)
    return Roles(**{role: tuple(names) for role, names in found.items()})


def _role(column: str, cells: list) -> str:
    words = re.sub(r"([a-z])([A-Z])", r"\1_\2", column).lower()
    parts = [part for part in re.split(r"[^a-z]+", words) if part]
    kind = guess.modality(cells)
    if isinstance(kind, (ImageColumn, SoundColumn)):
        return "file" if isinstance(kind, ImageColumn) else "drop"
    texts = [str(cell) for cell in cells]
    if column in guess.SPLIT_NAMES:
        return "keep"
    if any(map(_EMAIL.fullmatch, texts)) or _any(_DIRECT, parts):
        return "drop"
    if _any(_NUMBERED, parts):
        return "pseudonym"
    if _any(_QUASI, parts):
        return "quasi"
    if isinstance(kind, TextColumn):
        return "text"
    if kind is not None:
        return "drop"  # points, series, features: nothing is known about them
    if texts and all(number(text) is not None for text in texts):
        whole = all((number(text) or 0.5).is_integer() for text in texts)
        return "drop" if whole and len(set(texts)) == len(texts) > 20 else "keep"
    return "quasi" if len(set(texts)) < len(texts) or any(map(days, texts)) else "drop"


def _any(pattern: re.Pattern, parts: list[str]) -> bool:
    return any(pattern.fullmatch(part) for part in parts) or bool(pattern.match("".join(parts)))
