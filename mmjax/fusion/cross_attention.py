"""Cross-modal attention in one block, after Tsai et al. 2019 (MulT), arXiv:1906.00295."""

from collections.abc import Mapping
from typing import final

import numpy as np
from flax import linen as nn

from mmjax.layers.attention.transformer import fusion_block
from mmjax.layers.tokens.masking import clear
from mmjax.layers.tokens.modalities import Join, ordered
from mmjax.types import Tokens


@final
class CrossAttention(nn.Module):
    """x = [W_1 z_1 + e_1; ...; W_M z_M + e_M];  x = block(x), attending to other modalities only.

    With a single modality its tokens attend to each other. A token whose other modalities are all
    missing gets a learned answer. No positions are added; encoders may add them.
    """

    dim: int = 64  # width of the fused tokens
    heads: int = 4  # attention heads, must divide dim
    dropout: float = 0.0  # share of sublayers' results dropped in training

    @nn.compact
    def __call__(self, modalities: Mapping[str, Tokens], train: bool) -> Tokens:
        """Returns the tokens of all modalities, ordered by name."""
        lengths = [tokens.mask.shape[1] for _, tokens in ordered(modalities)]
        owner = np.repeat(np.arange(len(lengths)), lengths)
        visible = (owner[:, None] != owner[None, :]) | (len(lengths) == 1)
        x = Join(self.dim, name="join")(modalities)
        block = fusion_block(self.heads, self.dropout, "block")
        values = block(x.values, visible[None] & x.mask[:, None], train=train)
        return Tokens(clear(values, x.mask), x.mask)
