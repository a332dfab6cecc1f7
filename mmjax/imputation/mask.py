"""No imputation: a missing modality stays masked, and the fusion leaves it out."""

from collections.abc import Mapping
from typing import final

from flax import linen as nn

from mmjax.types import Tokens


@final
class Mask(nn.Module):
    """z_m = z_m: missing modalities stay masked."""

    def __call__(self, modalities: Mapping[str, Tokens], train: bool) -> dict[str, Tokens]:
        """Returns the same tokens."""
        del train
        return dict(modalities)
