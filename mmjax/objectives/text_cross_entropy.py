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
from mmjax.metrics.text import text_metrics
from mmjax.objectives.objective import INVALID, Objective, mean_of, target_of
from mmjax.objectives.softmax_cross_entropy import softmax_cross_entropy
from mmjax.types import Batch, Outputs, WeightedMean


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class TextCrossEntropy(Objective):
    """loss = -sum_i w_i sum_t log p(word_it) / sum_i w_i words_i, the end of a text counted.

    Reads the output of a decoder. Longer texts weigh more: every word counts the same.
    """

    label_smoothing: float = 0.0  # 0..1: share of the target spread over all words
    # A group target: texts of one group, such as five captions of a picture, are all references
    # of what is written for its first example; the others' texts are not scored.
    references: str | None = None

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

    def record(self, outputs: Outputs, batch: Batch) -> dict[str, Array]:
        """True and written words, and the log-probability of the true ones: never logits."""
        logits, words, weight, _ = self._compared(outputs, batch)
        log_p = jax.nn.log_softmax(logits, axis=-1)
        own = jnp.take_along_axis(log_p, words[:, :, None], axis=-1)[:, :, 0]
        counted = weight > 0
        records = {
            "target": words,
            "counted": counted,
            "log_probability": jnp.sum(jnp.where(counted, own, 0.0), axis=1),
            "written": outputs.values[self.output]["words"][:, 0],
        }
        if self.references is not None:
            group = batch.targets[self.references]
            records["group"] = clear(group.values, group.mask)
            records["grouped"] = jnp.asarray(group.mask)
        return records

    def metrics(self, records: Mapping[str, np.ndarray], kind: Any) -> dict[str, float]:
        """`perplexity`, exp of the mean loss of a word, and those of `text_metrics`.

        Unknown words of true texts are never written, so they count as wrong.
        """
        counted = records["counted"]
        rows = np.flatnonzero(counted.any(axis=1))
        if not rows.size:
            return {}
        mean = records["log_probability"].astype(np.float64).sum() / counted.sum()
        found = {"perplexity": float(np.exp(-mean))}
        if kind is None:
            return found
        groups: dict[Any, list[int]] = {}
        for row in rows.tolist():
            whole = self.references is not None and records["grouped"][row]
            group = tuple(records["group"][row]) if whole else ("alone", row)
            groups.setdefault(group, []).append(row)
        written = [kind.decoded(records["written"][own[0]]) for own in groups.values()]
        true = [
            [kind.decoded(records["target"][row][counted[row]]) for row in own]
            for own in groups.values()
        ]
        return found | text_metrics(written, true)

    def predictions(self, outputs: Outputs, kind: Any) -> list[dict[str, Any]]:
        """The text, its log-probability, and further texts where the decoder gives some."""
        output = outputs.values[self.output]
        found = []
        for words, log_p in zip(output["words"], output["log_probability"], strict=True):
            texts = [
                {"value": _text(kind, own), "log_probability": float(p)}
                for own, p in zip(words, log_p, strict=True)
                if np.isfinite(p)
            ]
            more = {"alternatives": texts[1:]} if len(texts) > 1 else {}
            found.append(texts[0] | more)
        return found

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


def _text(kind: Any, words: np.ndarray) -> str:
    return " ".join(map(str, words)) if kind is None else kind.decoded(words)
