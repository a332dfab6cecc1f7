"""Hostile files from good ones: the same for the same seed, on every machine."""

import json
import re
import struct
import zlib
from random import Random
from typing import Any

EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1)
WORDS = (b"\0", b"\xef\xbb\xbf", b"\xff\xfe", b'"', b"\n", b",", b"[" * 3000, b"{", b"-" * 500)
WORDS += (b"1e999", b"NaN", b"-Infinity", b"9" * 5000, b"\\ud800", "\u202e\U0001f600".encode())
VALUES = (None, True, False, 0, -1, 3, 0.5, 1e308, float("nan"), float("inf"), 2**31, 2**63, 10**30)
VALUES += ("", "x", "\0", "\ud800", "../../x", "/", "x" * 10_000, [], {}, [[]], [None], {"type": 3})
VALUES += ([1, 2, 3], [-1, -1, -1], {"a": 1}, [0.0], {"type": []}, ["x"], [10**12] * 3)


def mutated(goods: list[bytes], random: Random) -> bytes:
    """One to four changes of one of the good contents."""
    content = random.choice(goods)
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        text = content[:1] == b"{"  # most other changes end before a value is looked at
        change = _value if text and random.random() < 0.5 else random.choice(CHANGES)
        content = change(content, random, goods)
    if content[:4] == b"\x89PNG" and random.random() < 0.7:
        content = with_checksums(content)
    return content


def _place(content: bytes, random: Random) -> int:
    """Often in the header, where the sizes stand."""
    near = min(len(content), 64) if random.random() < 0.5 else len(content)
    return random.randrange(near + 1)


def _flip(content: bytes, random: Random, _: list[bytes]) -> bytes:
    found = bytearray(content or b"\0")
    for _ in range(random.choice((1, 1, 2, 8))):
        found[_place(found[1:], random)] ^= 1 << random.randrange(8)
    return bytes(found)


def _truncate(content: bytes, random: Random, _: list[bytes]) -> bytes:
    return content[: _place(content, random)]


def _insert(content: bytes, random: Random, _: list[bytes]) -> bytes:
    place = _place(content, random)
    more = random.choice((random.randbytes(random.randrange(1, 40)), random.choice(WORDS)))
    return content[:place] + more + content[place:]


def _remove(content: bytes, random: Random, _: list[bytes]) -> bytes:
    place = _place(content, random)
    return content[:place] + content[place + random.choice((1, 2, 4, 16, 100)) :]


def _repeat(content: bytes, random: Random, _: list[bytes]) -> bytes:
    place = _place(content, random)
    part = content[place : place + random.choice((1, 4, 12, 60))]
    return content[:place] + part * random.choice((2, 3, 300)) + content[place:]


def _splice(content: bytes, random: Random, goods: list[bytes]) -> bytes:
    other = random.choice(goods)
    return content[: _place(content, random)] + other[_place(other, random) :]


def _extreme(content: bytes, random: Random, _: list[bytes]) -> bytes:
    """A length field, or what may be one, in either order of bytes."""
    place, form = _place(content, random), random.choice("BHIQ")
    number = random.choice(EXTREMES) & (2 ** (8 * struct.calcsize(form)) - 1)
    part = struct.pack(random.choice("<>") + form, number)
    return content[:place] + part + content[place + len(part) :]


def _number(content: bytes, random: Random, _: list[bytes]) -> bytes:
    """One number of a text."""
    found = list(re.finditer(rb"-?\d+(\.\d+)?", content))
    if not found:
        return content
    one = random.choice(found)
    new = random.choice((b"-1", b"0", b"1e999", b"NaN", b"1.5", b"9" * 30, b"9" * 5000, b"null"))
    return content[: one.start()] + new + content[one.end() :]


def _value(content: bytes, random: Random, _: list[bytes]) -> bytes:
    """One value or one name of a JSON text."""
    try:
        tree = json.loads(content)
    except (ValueError, RecursionError):
        return content
    places = list(_places(tree))
    if not places:
        return json.dumps(random.choice(VALUES)).encode()
    parent, key = random.choice(places)
    action = random.random()
    if action < 0.1 and isinstance(parent, dict):
        parent[random.choice(("", "x", "type", "../x", "\0", "\ud800"))] = parent.pop(key)
    elif action < 0.2:
        del parent[key]
    elif action < 0.3:
        other, name = random.choice(places)
        parent[key] = json.loads(json.dumps(other[name]))
    else:
        parent[key] = random.choice(VALUES)
    return json.dumps(tree).encode()


def _places(tree: Any) -> Any:
    if isinstance(tree, dict | list):
        for key in list(tree) if isinstance(tree, dict) else range(len(tree)):
            yield tree, key
            yield from _places(tree[key])


CHANGES = (_flip, _truncate, _insert, _remove, _repeat, _splice, _extreme, _extreme)
CHANGES += (_number, _value, _value)


def with_checksums(content: bytes) -> bytes:
    """A PNG whose chunks have the checksums of what is in them, so that it is looked into."""
    found, place = bytearray(content), 8
    while place + 12 <= len(found):
        (size,) = struct.unpack_from(">I", found, place)
        end = place + 8 + size
        if end + 4 > len(found):
            break
        struct.pack_into(">I", found, end, zlib.crc32(found[place + 4 : end]))
        place = end + 4
    return bytes(found)
