"""Early fusion: one transformer over all tokens (VisualBERT, Li et al. 2019, arXiv:1908.03557)."""

from collections.abc import Mapping
from typing import final

from flax import linen as nn

from mmjax.layers.attention.transformer import fusion_block
from mmjax.layers.fields import require_at_least
from mmjax.layers.tokens.modalities import Join, Normed
from mmjax.types import Tokens


@final
class Early(nn.Module):
    """x = [W_1 z_1 + e_1; ...; W_M z_M + e_M];  x = block(x), `layers` times;  norm(x).

    No positions are added; encoders may add them.
    """

    layers: int = 2  # transformer blocks
    dim: int = 64  # width of the fused tokens
    heads: int = 4  # attention heads, must divide dim
    dropout: float = 0.0  # share of sublayers' results dropped in training

    @nn.compact
    def __call__(self, modalities: Mapping[str, Tokens], train: bool) -> Tokens:
        """Returns the tokens of all modalities, ordered by name."""
        require_at_least(self, 1, "layers")
        joined = Join(self.dim, name="join")(modalities)
        x, mask = joined.values, joined.mask
        for layer in range(self.layers):
            block = fusion_block(self.heads, self.dropout, f"block_{layer}")
            x = block(x, mask[:, None], train=train)
        return Normed(name="out")(Tokens(x, mask))
