"""Masking out: what is missing stays missing, and every fusion knows what to do without it."""

from collections.abc import Mapping
from typing import final

from flax import linen as nn

from mmjax.types import Tokens


@final
class Mask(nn.Module):
    """tokens -> tokens, as they are."""

    def __call__(self, modalities: Mapping[str, Tokens], train: bool) -> dict[str, Tokens]:
        """Returns the same tokens."""
        del train
        return dict(modalities)
