"""An encoder's variables from a file of published weights."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from flax import linen as nn

from mmjax.errors import UserError
from mmjax.weights import PUBLISHED, files
from mmjax.weights.fill import fill


def load(encoder: nn.Module, file: str | Path, like: Mapping[str, Any]) -> dict[str, Any]:
    """The encoder's variables in float32: published values, and those of `like` where none are.

    Args:
        encoder: what the file is for
        file: safetensors, the index of several, or a folder with one of them
        like: the encoder's own variables, as it is initialised

    Raises:
        UserError: the encoder has no published weights, or the file holds others or is broken.
        FileNotFoundError: there is no such file.
    """
    _published(encoder)
    arrays = files.read(Path(file))
    try:
        return convert(encoder, arrays, like)
    except ValueError as error:
        raise UserError(f"{file}: {error}") from error


def convert(
    encoder: nn.Module, arrays: Mapping[str, np.ndarray], like: Mapping[str, Any]
) -> dict[str, Any]:
    """The same for the arrays of a file."""
    published = _published(encoder)
    return fill(like, arrays, published.places(encoder), published.UNUSED)


def _published(encoder: nn.Module) -> Any:
    if type(encoder) not in PUBLISHED:
        raise UserError(
            f"nobody publishes weights of {type(encoder).__name__}; "
            f"choose from {', '.join(cls.__name__ for cls in PUBLISHED)}"
        )
    return PUBLISHED[type(encoder)]
