"""Checks of the fields of modules."""

from collections.abc import Mapping
from typing import Any

from flax import linen as nn
from jax.core import Tracer


def require_at_least(module: nn.Module, least: int, *names: str) -> None:
    """ValueError for a field of the module that is below `least`."""
    for name in names:
        if getattr(module, name) < least:
            raise ValueError(
                f"{type(module).__name__}.{name}: expected at least {least}, "
                f"got {getattr(module, name)}"
            )


def require_choice(module: nn.Module, name: str, *choices: str) -> None:
    """ValueError for a field of the module that is not one of the choices."""
    if getattr(module, name) not in choices:
        raise ValueError(
            f"{type(module).__name__}.{name}: got {getattr(module, name)!r}, "
            f"choose from {', '.join(choices)}"
        )


def is_zero(number: Any) -> bool:
    """Whether a field is 0; False for an input of the compiled program, whose value is unknown."""
    return not isinstance(number, Tracer) and number == 0


def require_share(module: nn.Module, name: str) -> None:
    """ValueError for a field of the module that is not from 0 to below 1.

    An input of the compiled program has no value yet and is not checked.
    """
    share = getattr(module, name)
    if not isinstance(share, Tracer) and not 0 <= share < 1:
        raise ValueError(f"{type(module).__name__}.{name}: expected 0 to below 1, got {share}")


def size_of(module: nn.Module, sizes: Mapping[str, tuple[int, int, int]]) -> tuple[int, int, int]:
    """Width, layers and heads of a transformer: its fields, or where None those of its `size`.

    Raises:
        ValueError: `size` is unknown, or `layers` is negative.
    """
    require_choice(module, "size", *sizes)
    size, *chosen = (getattr(module, name) for name in ("size", "width", "layers", "heads"))
    width, layers, heads = (
        given if own is None else own for own, given in zip(chosen, sizes[size], strict=True)
    )
    if layers < 0:
        raise ValueError(f"{type(module).__name__}.layers: expected at least 0, got {layers}")
    return width, layers, heads
