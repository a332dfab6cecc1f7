"""Values of rows as bytes: MessagePack for arrays, sounds, numbers and texts, JSON for tables."""

import json
from collections.abc import Mapping
from typing import Any

from flax import serialization

from mmjax.data.transforms.audio import Recording


def pack(value: Any) -> bytes:
    """MessagePack; the empty text for a missing value."""
    if value is None:
        return b""
    if isinstance(value, Recording):
        value = {"samples": value.samples, "sample_rate": value.sample_rate}
        return b"R" + serialization.msgpack_serialize(value)
    if isinstance(value, Mapping):
        return b"J" + json.dumps(value).encode()
    return b"V" + serialization.msgpack_serialize(value)


def unpack(content: bytes) -> Any:
    """The value that was packed."""
    kind, rest = content[:1], content[1:]
    if not kind:
        return None
    if kind == b"J":
        return json.loads(rest)
    value: Any = serialization.msgpack_restore(rest)
    return Recording(value["samples"], value["sample_rate"]) if kind == b"R" else value
