"""Fully connected head for one class of several."""

from typing import final

from flax import linen as nn
from jax import Array
from jaxtyping import Float

from mmjax.layers.mlp import Mlp
from mmjax.layers.tokens.pooling import masked_mean
from mmjax.types import Tokens


@final
class Classes(nn.Module):
    """Logits of classes: mlp(mean of the tokens); without any token mlp(0), the learned prior."""

    classes: int = 2  # how many there are
    hidden: tuple[int, ...] = (128,)  # widths of the hidden ReLU layers; (): one linear layer
    dropout: float = 0.0  # share of hidden units dropped in training

    @nn.compact
    def __call__(self, tokens: Tokens, train: bool) -> Float[Array, "batch class"]:
        vector = masked_mean(tokens.values, tokens.mask)
        mlp = Mlp(hidden=self.hidden, dim=self.classes, dropout=self.dropout)
        return mlp(vector, train=train)
