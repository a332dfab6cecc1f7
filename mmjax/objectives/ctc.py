"""Connectionist temporal classification, Graves et al. 2006, doi:10.1145/1143844.1143891."""

import dataclasses
from collections.abc import Mapping
from typing import final

import jax.numpy as jnp
import optax
from jax import Array

from mmjax.errors import UserError
from mmjax.layers.tokens.masking import clear
from mmjax.objectives.objective import INVALID, mean_of, target_of
from mmjax.objectives.text import TextObjective
from mmjax.types import Batch, Outputs, WeightedMean


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class Ctc(TextObjective):
    """loss = -sum_i w_i log p(text_i) / sum_i w_i words_i, over all alignments of words and tokens.

    Reads the output of the head `TokenWords`. A text that has more words than its example has
    tokens, a blank between equal neighbours counted, has no alignment: it does not count, and the
    share of such texts is the quantity `unaligned`.
    """

    def __call__(self, outputs: Outputs, batch: Batch) -> dict[str, WeightedMean]:
        """`loss` and `unaligned`.

        Raises:
            UserError: the output is not that of `TokenWords`.
        """
        output, words, lengths, weight, invalid = self._compared(outputs, batch)
        mask = output["mask"]
        repeated = (words[:, 1:] == words[:, :-1]) & self._inside(words, lengths)[:, 1:]
        needed = lengths + jnp.sum(repeated, axis=1)
        aligned = jnp.sum(mask, axis=1) >= needed
        counted = (weight > 0) & aligned
        loss = optax.ctc_loss(
            clear(clear(output["logits"], mask), counted).astype(jnp.float32),
            logit_paddings=(~mask).astype(jnp.float32),
            labels=clear(words, counted),
            label_paddings=(~self._inside(words, lengths)).astype(jnp.float32),
            blank_id=0,
        )
        kept = jnp.where(counted, weight, jnp.zeros_like(weight))
        per_word = jnp.sum(kept * jnp.maximum(lengths, 1).astype(jnp.float32))
        return {
            "loss": WeightedMean(jnp.sum(kept * clear(loss, counted)), per_word),
            "unaligned": mean_of(weight, ~aligned),
            INVALID: invalid,
        }

    def counted(self, outputs: Outputs, batch: Batch) -> Array:
        """The words of the texts that count."""
        _, words, lengths, weight, _ = self._compared(outputs, batch)
        return self._inside(words, lengths) & (weight > 0)[:, None]

    def _compared(
        self, outputs: Outputs, batch: Batch
    ) -> tuple[Mapping[str, Array], Array, Array, Array, WeightedMean]:
        """The output; words, with the blank (0) where there are none; their number; weights."""
        output = outputs.values[self.output]
        if not isinstance(output, Mapping) or not {"logits", "mask"} <= set(output):
            raise UserError(
                f"head {self.output!r} gives no words of single tokens: expected token_words"
            )
        words, weight = target_of(self, batch)
        words = words.astype(jnp.int32)
        valid = jnp.all((words >= 0) & (words < output["logits"].shape[-1]), axis=1)
        seen = jnp.max(weight, axis=1)
        invalid = mean_of(seen, ~valid)
        seen = jnp.where(valid, seen, jnp.zeros_like(seen))
        words = clear(words, seen > 0)
        return output, words, jnp.sum(words != 0, axis=1), seen, invalid

    @staticmethod
    def _inside(words: Array, lengths: Array) -> Array:
        return jnp.arange(words.shape[1])[None] < lengths[:, None]
