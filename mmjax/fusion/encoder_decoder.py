"""Encoder-decoder: queries decode a joint memory (DETR, Carion et al. 2020, arXiv:2005.12872)."""

from collections.abc import Mapping
from typing import final

import jax.numpy as jnp
from flax import linen as nn

from mmjax.layers.attention.transformer import fusion_block
from mmjax.layers.fields import require_at_least
from mmjax.layers.tokens.modalities import Join, Normed, present
from mmjax.types import Tokens


@final
class EncoderDecoder(nn.Module):
    """c = blocks([W_m z_m + e_m for all m]);  q = attend(q);  q = attend(q, c);  q += mlp(norm(q)).

    The queries are learned. Transformer: Vaswani et al. 2017, arXiv:1706.03762.
    """

    queries: int = 4  # learned tokens, as many as tokens of the result
    encoder_layers: int = 1  # self-attention blocks over all modalities' tokens
    decoder_layers: int = 1  # each attends to the queries, then to the memory
    dim: int = 64  # width of the fused tokens
    heads: int = 4  # attention heads, must divide dim
    dropout: float = 0.0  # share of sublayers' results dropped in training

    @nn.compact
    def __call__(self, modalities: Mapping[str, Tokens], train: bool) -> Tokens:
        """Returns the decoded queries."""
        require_at_least(self, 1, "queries", "decoder_layers")
        require_at_least(self, 0, "encoder_layers")
        joined = Join(self.dim, name="join")(modalities)
        memory, mask = joined.values, joined.mask
        for layer in range(self.encoder_layers):
            block = fusion_block(self.heads, self.dropout, f"encoder_{layer}")
            memory = block(memory, mask[:, None], train=train)
        queries = self.param("queries", nn.initializers.normal(1.0), (self.queries, self.dim))
        q = jnp.broadcast_to(queries.astype(memory.dtype)[None], (mask.shape[0], *queries.shape))
        mask_q = jnp.broadcast_to(present(modalities)[:, None], q.shape[:2])
        for layer in range(self.decoder_layers):
            block = fusion_block(self.heads, self.dropout, f"decoder_{layer}")
            q = block(q, mask_q[:, None], train, memory, mask[:, None])
        return Normed(name="out")(Tokens(q, mask_q))
