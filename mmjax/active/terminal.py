"""Asks about rows on a terminal, or whatever feeds the standard input."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from mmjax.active.corrections import Answer
from mmjax.active.offers import Offer

KEYS = "1234567890abcdefghijklmnoprtvwxyz"  # of answers; q, s and u mean something else
_SHOWN = 9  # classes that have a key where there are more than keys: those most probable


def keyed(offer: Offer, names: Sequence[str]) -> dict[str, str]:
    """{key: class}: always the same, unless there are more classes than keys.

    A class whose name is a key, such as the digit 7, has this key.
    """
    chosen = list(names) if len(names) <= len(KEYS) else list(offer.p)[:_SHOWN]
    own = {name: name for name in chosen if len(name) == 1 and name in KEYS}
    free = (key for key in KEYS if key not in own)
    return {name if name in own else next(free): name for name in chosen}


def ask(
    offers: Sequence[Offer],
    names: Sequence[str],
    by: str,
    said: Callable[[Answer], None],
    ask: Callable[[str], str] = input,
    say: Callable[[str], None] = print,
) -> bool:
    """Ask about one row after the other; False if somebody has stopped before the last.

    Args:
        offers: the rows
        names: the classes
        by: who answers
        said: told every answer at once, so that none is lost
        ask: shows a prompt and returns a line; EOFError ends the questions
        say: prints a line
    """
    for number, offer in enumerate(offers, 1):
        keys = keyed(offer, names)
        say(f"\n{number} of {len(offers)}, row {offer.row.line}")
        for name, value in offer.row.inputs.items():
            is_file = isinstance(offer.cells.get(name), str) and not isinstance(
                value, str | Mapping
            )
            say(f"  {name}: {offer.cells[name] if is_file else _text(value)}")
        say(f"  model: {offer.guess} (p = {offer.p[offer.guess]:.2f})")
        say("  " + "  ".join(f"{key} {name}" for key, name in keys.items()))
        while True:
            try:
                line = ask("  key or name, Enter: the model is right, s: skip, q: stop > ").strip()
            except EOFError:
                return False
            answer = line if line in names else keys.get(line, "" if line else offer.guess)
            if line == "q" and not answer:
                return False
            if answer:
                said(Answer(str(offer.row.line), offer.mark, answer, by))
            if answer or line == "s":
                break
            say(f"  {line!r}: no key and no class")
    return True


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {cell}" for key, cell in value.items())
    if isinstance(value, np.ndarray):
        return " x ".join(map(str, value.shape)) + " numbers"
    return "missing" if value is None else f"{value!s:.300}"
