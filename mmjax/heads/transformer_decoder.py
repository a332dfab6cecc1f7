"""Transformer decoder, Vaswani et al. 2017, arXiv:1706.03762, over the tokens of a fusion."""

from typing import Any, Literal, final

import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jaxtyping import Bool, Float, Int

from mmjax.errors import UserError
from mmjax.heads.decoder import Decoder
from mmjax.layers.attention.transformer import TransformerBlock
from mmjax.layers.decoding.generate import Step
from mmjax.layers.dropout import Dropout
from mmjax.layers.fields import require_at_least, require_choice
from mmjax.layers.normalisation import LayerNorm
from mmjax.layers.tokens.masking import clear
from mmjax.layers.tokens.word_embedding import PositionEmbedding
from mmjax.types import Tokens

_EPSILON = 1e-5  # of the norms, as in GPT-2


@final
class TransformerDecoder(Decoder, kw_only=True):
    """x_t = E[word_t] + P[t]; x = block(x); logits_t = E norm(x_t).

    With `context="cross"` each block attends to the tokens. With "prefix" the tokens, projected,
    come before the text in one stream, as in ClipCap, Mokady et al. 2021, arXiv:2111.09734: they
    see each other, and words see them and earlier words. These blocks are those of GPT-2, whose
    published weights fit. The order of the tokens does not matter.

    Attributes:
        width: of a block
        layers: blocks
        heads: must divide the width
        positions: words of the longest text
        dropout: share of embeddings and of sublayers' results dropped in training
        context: how words read the tokens
        weights: safetensors of a published GPT-2, read when a training begins
    """

    # Not comments beside the fields: tyro finds no comments of classes made at run time.
    width: int = 128
    layers: int = 2
    heads: int = 4
    positions: int = 64
    dropout: float = 0.0
    context: Literal["cross", "prefix"] = "cross"
    weights: str | None = None

    def setup(self) -> None:
        """Make the modules."""
        require_choice(self, "context", "cross", "prefix")
        require_at_least(self, 1, "width", "positions", "layers")
        cross = self.context == "cross"
        if self.weights is not None and cross:
            raise UserError('weights: GPT-2 has no cross-attention; give context "prefix" too')
        if self.length > self.positions:
            raise UserError(
                f"length: expected at most the {self.positions} positions of the decoder, "
                f"got {self.length}"
            )
        init = nn.initializers.normal(0.02)
        self.word = nn.Embed(self.vocabulary_size, self.width, embedding_init=init)
        self.position = PositionEmbedding(self.positions)
        self.drop = Dropout(self.dropout)
        self.block = [
            TransformerBlock(
                self.heads, self.dropout, _EPSILON, activation="gelu_tanh", nothing=cross
            )
            for _ in range(self.layers)
        ]
        self.norm = LayerNorm(_EPSILON)
        if not cross:
            self.prefix = nn.Dense(self.width)

    def logits(
        self, tokens: Tokens, words: Int[Array, "batch word"], train: bool
    ) -> Float[Array, "batch word vocabulary"]:
        """The logits of the word after each of `words`.

        Raises:
            ValueError: a text is longer than `positions`, or the heads do not divide the width.
        """
        x = self.drop(self.position(self.word(words)), train=train)
        first, length = self._stream(tokens), words.shape[1]
        x = jnp.concatenate([first, x], axis=1)
        visible = jnp.tril(jnp.ones((length, length), bool))[None]
        visible = jnp.broadcast_to(visible, (words.shape[0], length, length))
        visible = jnp.pad(visible, ((0, 0), (first.shape[1], 0), (0, 0)))
        visible = jnp.concatenate([self._seen(tokens, x.shape[1]), visible], axis=2)
        for block in self.block:
            x = block(x, visible, train, *self._context(tokens))
        return self._scores(x[:, first.shape[1] :])

    def stepper(self, tokens: Tokens, length: int) -> tuple[Step, Any]:
        """One word after another with cached keys and values."""
        module, variables = self.unbind()
        weights = {"params": variables["params"]}
        _, begun = module.apply(weights, tokens, length, method="begin", mutable=["cache"])

        def step(words: Array, place: Array, cache: Any) -> tuple[Array, Any]:
            logits, changed = module.apply(
                {**weights, "cache": cache["cache"]},
                cache["tokens"],
                words,
                place,
                length,
                method="following",
                mutable=["cache"],
            )
            return logits, {**cache, **changed}

        return step, {"tokens": tokens, **begun}

    @staticmethod
    def fixed(path: Any) -> bool:
        """The tokens, and their keys and values."""
        return path[0].key == "tokens" or str(path[-1].key).startswith("cross")

    def begin(self, tokens: Tokens, length: int) -> None:
        """Fill the cache with what comes before the first word."""
        x = self._stream(tokens)
        seen = self._seen(tokens, 1)
        if self.context == "cross":  # only to make the cache: the first word overwrites it
            x = jnp.zeros((tokens.mask.shape[0], 1, self.width), tokens.values.dtype)
        visible = jnp.pad(seen, ((0, 0), (0, 0), (0, length)))
        for block in self.block:
            x = block(x, visible, False, *self._context(tokens), position=jnp.zeros((), jnp.int32))

    def following(
        self, tokens: Tokens, words: Int[Array, "row"], place: Int[Array, ""], length: int
    ) -> Float[Array, "row vocabulary"]:
        """The logits of the word after `words`, at `place`; reads and fills the cache."""
        x = self.position(self.word(words)[:, None], place)
        seen = self._seen(tokens, 1)
        written = jnp.broadcast_to(jnp.arange(length) <= place, (words.shape[0], 1, length))
        visible = jnp.concatenate([seen, written], axis=2)
        for block in self.block:
            x = block(x, visible, False, *self._context(tokens), position=seen.shape[2] + place)
        return self._scores(x)[:, 0]

    def _stream(self, tokens: Tokens) -> Float[Array, "batch token width"]:
        """What stands before the words in their stream."""
        if self.context == "cross":
            return jnp.zeros((tokens.mask.shape[0], 0, self.width), tokens.values.dtype)
        return self.prefix(clear(tokens.values, tokens.mask))

    def _seen(self, tokens: Tokens, queries: int) -> Bool[Array, "batch query token"]:
        """Which of these each query sees."""
        count = 0 if self.context == "cross" else tokens.mask.shape[1]
        mask = tokens.mask[:, None, :count]
        return jnp.broadcast_to(mask, (mask.shape[0], queries, count))

    def _context(self, tokens: Tokens) -> tuple[Array, Array] | tuple[()]:
        if self.context == "prefix":
            return ()
        return clear(tokens.values, tokens.mask), tokens.mask[:, None]

    def _scores(self, x: Float[Array, "batch word width"]) -> Float[Array, "batch word vocabulary"]:
        return self.word.attend(self.norm(x))
