"""Causal transformer, GPT-2, Radford et al. 2019, Language Models are Unsupervised Multitask
Learners: https://cdn.openai.com/better-language-models/language_models_are_unsupervised_multitask_learners.pdf
"""

from typing import Literal, final

from flax import linen as nn
from jaxtyping import Bool, Int

from mmjax.layers.attention.transformer import TransformerBlock
from mmjax.layers.dropout import Dropout
from mmjax.layers.fields import require_choice, size_of
from mmjax.layers.normalisation import layer_norm
from mmjax.layers.tokens.word_embedding import PositionEmbedding, WordEmbedding
from mmjax.layers.tokens.word_tokens import word_tokens
from mmjax.types import AnyArray, Tokens

# Width, layers, heads: those of the paper, and a tiny one for experiments.
SIZES = {"tiny": (128, 2, 2), "small": (768, 12, 12), "medium": (1024, 24, 16)}


@final
class Gpt2(nn.Module):
    """Text: x = word + position; x = block(x); token = norm(x); words attend to earlier words.

    A word whose id is outside 0..vocabulary_size - 1 is masked. Exact against transformers'
    GPT2Model with padding at the end.
    """

    size: Literal["tiny", "small", "medium"] = "tiny"
    vocabulary_size: int = 50_257  # ids run from 0 to vocabulary_size - 1
    positions: int = 1024  # words of the longest text, padding counted
    width: int | None = None  # of a block; None: that of `size`
    layers: int | None = None  # blocks; None: that of `size`
    heads: int | None = None  # must divide the width; None: that of `size`
    dim: int | None = None  # width of a token; None: that of a block
    dropout: float = 0.0  # share of embeddings and of sublayers' results dropped in training
    epsilon: float = 1e-5  # of the norms
    pooling: Literal["none", "mean", "last"] = "none"  # one token per word, mean, or last word
    weights: str | None = None  # safetensors of published weights, read when a training begins

    @nn.compact
    def __call__(
        self,
        values: Int[AnyArray, "batch word"],
        mask: Bool[AnyArray, "batch word"],
        train: bool,
    ) -> Tokens:
        """Returns one token for each word, or one with `pooling`.

        Raises:
            ValueError: texts are longer than `positions`, `size` or `pooling` is unknown, or the
                heads do not divide the width.
        """
        require_choice(self, "pooling", "none", "mean", "last")
        width, layers, heads = size_of(self, SIZES)
        words = WordEmbedding(self.vocabulary_size, width, 0.02, name="word")(values, mask)
        x = PositionEmbedding(self.positions, name="position")(words.values)
        x = Dropout(self.dropout)(x, train=train)
        for layer in range(layers):
            block = TransformerBlock(
                heads,
                self.dropout,
                self.epsilon,
                activation="gelu_tanh",
                causal=True,
                name=f"block_{layer}",
            )
            x = block(x, words.mask[:, None], train=train)
        x = layer_norm("norm", self.epsilon)(x)
        return word_tokens(x, words.mask, self.dim, self.pooling)
