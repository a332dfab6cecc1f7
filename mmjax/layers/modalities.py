"""Several modalities side by side: `{name: Tokens}`, always read in the order of their names."""

from collections.abc import Mapping

from mmjax.types import Tokens


def ordered(modalities: Mapping[str, Tokens]) -> list[tuple[str, Tokens]]:
    """The modalities by name, so that the order of a dict can never matter.

    Raises:
        ValueError: there is none.
    """
    if not modalities:
        raise ValueError("a fusion needs at least one modality, got an empty dict")
    return sorted(modalities.items())
