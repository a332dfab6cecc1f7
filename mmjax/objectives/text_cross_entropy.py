"""Cross-entropy of the words of a text, and how well the written texts agree with the true ones."""

import dataclasses
from collections.abc import Mapping
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from mmjax.errors import UserError
from mmjax.layers.tokens.masking import clear
from mmjax.objectives.objective import INVALID, mean_of, target_of
from mmjax.objectives.softmax_cross_entropy import softmax_cross_entropy
from mmjax.objectives.text import TextObjective
from mmjax.types import Batch, Outputs, WeightedMean


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class TextCrossEntropy(TextObjective):
    """loss = -sum_i w_i sum_t log p(word_it) / sum_i w_i words_i, the end of a text counted.

    Reads the output of a decoder. Longer texts weigh more: every word counts the same.
    """

    label_smoothing: float = 0.0  # 0..1: share of the target spread over all words

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.label_smoothing <= 1:
            raise UserError(f"label_smoothing: expected 0 to 1, got {self.label_smoothing}")

    def __call__(self, outputs: Outputs, batch: Batch) -> dict[str, WeightedMean]:
        """`loss` and `accuracy`, the share of words that were the most probable one.

        Raises:
            UserError: the output is not that of a decoder.
        """
        logits, words, weight, invalid = self._compared(outputs, batch)
        flat = (-1, logits.shape[-1])
        loss = softmax_cross_entropy(
            jnp.reshape(logits, flat), jnp.reshape(words, -1), self.label_smoothing
        )
        return {
            "loss": mean_of(weight, jnp.reshape(loss, words.shape)),
            "accuracy": mean_of(weight, jnp.argmax(logits, axis=-1) == words),
            INVALID: invalid,
        }

    def counted(self, outputs: Outputs, batch: Batch) -> Array:
        """Words that are there and in the decoder's vocabulary."""
        return self._compared(outputs, batch)[2] > 0

    def record(self, outputs: Outputs, batch: Batch) -> dict[str, Array]:
        """True and written words, and the log-probability of the true ones: never logits."""
        logits, words, weight, _ = self._compared(outputs, batch)
        log_p = jax.nn.log_softmax(logits, axis=-1)
        own = jnp.take_along_axis(log_p, words[:, :, None], axis=-1)[:, :, 0]
        total = jnp.sum(jnp.where(weight > 0, own, jnp.zeros_like(own)), axis=1)
        return super().record(outputs, batch) | {"log_probability": total}

    def metrics(self, records: Mapping[str, np.ndarray], kind: Any) -> dict[str, float]:
        """`perplexity`, exp of the mean loss of a word, and those of `text_metrics`."""
        words = int(records["counted"].sum())
        if not words:
            return {}
        mean = records["log_probability"].astype(np.float64).sum() / words
        return {"perplexity": float(np.exp(-mean))} | super().metrics(records, kind)

    def _compared(self, outputs: Outputs, batch: Batch) -> tuple[Array, Array, Array, WeightedMean]:
        """Logits, words, weights of the words, and the share of words that the logits lack."""
        output = outputs.values[self.output]
        if not isinstance(output, Mapping) or "logits" not in output:
            raise UserError(
                f"head {self.output!r} gives no logits of the words of target {self.target!r}: "
                "expected a decoder with this target"
            )
        words, weight = target_of(self, batch)
        logits, words = output["logits"].astype(jnp.float32), words.astype(jnp.int32)
        if logits.shape[:2] != words.shape:
            raise UserError(
                f"head {self.output!r} gives logits {logits.shape} and target {self.target!r} is "
                f"{words.shape}: the decoder learns another target"
            )
        valid = (words >= 0) & (words < logits.shape[-1])
        invalid = mean_of(weight, ~valid)
        weight = jnp.where(valid, weight, jnp.zeros_like(weight))
        # Logits that do not count may be NaN; their gradient must be exactly zero.
        counted = weight > 0
        return clear(logits, counted), clear(words, counted), weight, invalid
