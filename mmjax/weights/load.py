"""Loads published weights into the variables of an encoder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from flax import linen as nn

from mmjax.errors import UserError
from mmjax.weights import PUBLISHED, files
from mmjax.weights.fill import fill


def load(encoder: nn.Module, file: str | Path, like: Mapping[str, Any]) -> dict[str, Any]:
    """The encoder's variables in float32: published values, and those of `like` for the rest.

    Args:
        encoder: the encoder
        file: a safetensors file, the index of several, or a folder with one of them
        like: the encoder's own variables, as initialised

    Raises:
        UserError: no converter for this encoder, a broken file, or weights of another network.
        MissingFileError: there is no such file.
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
    """The encoder's variables with the arrays of a file, by their published names; see `load`."""
    published = _published(encoder)
    return fill(like, arrays, published.places(encoder), published.UNUSED)


def _published(encoder: nn.Module) -> Any:
    if type(encoder) not in PUBLISHED:
        raise UserError(
            f"no converter for published weights of {type(encoder).__name__}; available for "
            + ", ".join(cls.__name__ for cls in PUBLISHED)
        )
    return PUBLISHED[type(encoder)]
