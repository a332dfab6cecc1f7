"""Late fusion by a transformer over one token per modality (Vaswani 2017, arXiv:1706.03762)."""

from collections.abc import Mapping
from typing import final

import jax.numpy as jnp
from flax import linen as nn

from mmjax.layers.attention.transformer import fusion_block
from mmjax.layers.fields import require_at_least
from mmjax.layers.normalisation import layer_norm
from mmjax.layers.tokens.modalities import Join, one_token, ordered
from mmjax.layers.tokens.pooling import masked_mean
from mmjax.types import Tokens


@final
class LateTransformer(nn.Module):
    """x = [cls; W_1 z_1 + e_1; ...; W_M z_M + e_M], z_m pooled;  x = blocks(x);  z = norm(x_cls).

    The learned token cls is BERT's [CLS], Devlin et al. 2019, arXiv:1810.04805.
    """

    layers: int = 2  # transformer blocks
    dim: int = 64  # width of the fused vector
    heads: int = 4  # attention heads, must divide dim
    dropout: float = 0.0  # share of sublayers' results dropped in training

    @nn.compact
    def __call__(self, modalities: Mapping[str, Tokens], train: bool) -> Tokens:
        """Returns one token."""
        vectors = {
            name: Tokens(
                masked_mean(tokens.values, tokens.mask)[:, None], tokens.present()[:, None]
            )
            for name, tokens in ordered(modalities)
        }
        require_at_least(self, 1, "layers")
        joined = Join(self.dim, name="join")(vectors)
        x, mask = joined.values, joined.mask
        cls = self.param("cls", nn.initializers.normal(0.02), (1, self.dim)).astype(x.dtype)
        x = jnp.concatenate([jnp.broadcast_to(cls[None], (x.shape[0], *cls.shape)), x], axis=1)
        mask = jnp.pad(mask, ((0, 0), (1, 0)), constant_values=True)
        for layer in range(self.layers):
            block = fusion_block(self.heads, self.dropout, f"block_{layer}")
            x = block(x, mask[:, None], train=train)
        return one_token(layer_norm("norm")(x[:, 0]), modalities)
