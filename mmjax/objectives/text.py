"""The base class of objectives whose output is a text: what is recorded, measured and shown."""

import abc
import dataclasses
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from mmjax.layers.tokens.masking import clear
from mmjax.metrics.text import text_metrics
from mmjax.objectives.objective import Objective
from mmjax.types import Batch, Outputs


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextObjective(Objective):
    """Compares the texts that a head writes with a text target.

    The head's output has in evaluation "words" `[batch, alternative, word]` and their
    "log_probability" `[batch, alternative]`, the best first.
    """

    # A group target: texts of one group, such as five captions of a picture, are all references
    # of what is written for its first example; the others' texts are not scored.
    references: str | None = None

    @abc.abstractmethod
    def counted(self, outputs: Outputs, batch: Batch) -> Array:
        """Which words of the target count, `[batch, word]`."""

    def record(self, outputs: Outputs, batch: Batch) -> dict[str, Array]:
        """True and written words: never logits."""
        records = {
            "target": jnp.asarray(batch.targets[self.target or ""].values),
            "counted": self.counted(outputs, batch),
            "written": outputs.values[self.output]["words"][:, 0],
        }
        if self.references is not None:
            group = batch.targets[self.references]
            records["group"] = clear(group.values, group.mask)
            records["grouped"] = jnp.asarray(group.mask)
        return records

    def metrics(self, records: Mapping[str, np.ndarray], kind: Any) -> dict[str, float]:
        """Those of `text_metrics`; unknown words of true texts are never written, so are wrong."""
        counted = records["counted"]
        rows = np.flatnonzero(counted.any(axis=1)).tolist()
        if not rows or kind is None:
            return {}
        groups: dict[Any, list[int]] = {}
        for row in rows:
            whole = self.references is not None and records["grouped"][row]
            group = tuple(records["group"][row]) if whole else ("alone", row)
            groups.setdefault(group, []).append(row)
        written = [kind.decoded(records["written"][own[0]]) for own in groups.values()]
        true = [
            [kind.decoded(records["target"][row][counted[row]]) for row in own]
            for own in groups.values()
        ]
        return text_metrics(written, true)

    def predictions(self, outputs: Outputs, kind: Any) -> list[dict[str, Any]]:
        """The text, its log-probability, and further texts where the head gives some."""
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


def _text(kind: Any, words: np.ndarray) -> str:
    return " ".join(map(str, words)) if kind is None else kind.decoded(words)
