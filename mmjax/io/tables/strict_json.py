"""JSON of other people, without what readers of JSON understand differently."""

import json
import math
from typing import Any

from mmjax.errors import UserError


def parse(text: str) -> Any:
    """The value of a JSON text.

    Raises:
        UserError: it is no JSON, repeats a key of an object, has numbers that are not finite, or
            texts with half a surrogate pair, which cannot be encoded.
    """
    try:
        value = json.loads(
            text, object_pairs_hook=_object, parse_constant=_constant, parse_float=_finite
        )
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise UserError("expected JSON, got too many nested brackets") from None
    except UserError:
        raise
    except ValueError as error:
        raise UserError(f"expected JSON: {error}") from error
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise UserError(f"expected each key once, got {twice!r:.100} twice")
    return values


def _constant(name: str) -> None:
    raise UserError(f"expected JSON, which has no {name}; write null")


def _finite(digits: str) -> float:
    if not math.isfinite(value := float(digits)):
        raise UserError(f"expected finite numbers, got {digits:.100}")
    return value
