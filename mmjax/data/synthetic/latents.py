"""Planted tasks as tables of probabilities: what modalities can show, and with which label."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from mmjax.data.synthetic import planting
from mmjax.data.synthetic.planting import MISSING, SERIES, Draws

Task = Literal["redundant", "unique", "synergy", "missing", "noisy", "misaligned", "dominated"]


@dataclass(frozen=True)
class Latents:
    """P(shown, label): every state that can be, once. Examples are drawn from this very table."""

    shown: Int[np.ndarray, "state modality"]  # the symbol of each modality
    label: Int[np.ndarray, "state"]
    probability: Float[np.ndarray, "state"]

    def draw(
        self, count: int, draws: Draws
    ) -> tuple[Int[np.ndarray, "batch modality"], Int[np.ndarray, "batch"]]:
        """Symbols and labels of some examples."""
        until = np.cumsum(self.probability)
        state = np.searchsorted(until / until[-1], draws.random(count), side="right")
        return self.shown[state], self.label[state]

    def best_accuracy(self, modalities: Sequence[int]) -> float:
        """sum over what these modalities can show of max over y of P(shown, y)."""
        _, seen = np.unique(self.shown[:, list(modalities)], axis=0, return_inverse=True)
        joint = np.zeros((seen.max() + 1, 2))
        np.add.at(joint, (seen.ravel(), self.label), self.probability)
        return float(joint.max(axis=1).sum())

    def decide(self, shown: Int[np.ndarray, "batch modality"]) -> Int[np.ndarray, "batch"]:
        """The more likely label of what all modalities show; 0 where both are as likely."""
        states, seen = np.unique(self.shown, axis=0, return_inverse=True)
        joint = np.zeros((len(states), 2))
        np.add.at(joint, (seen.ravel(), self.label), self.probability)
        place = {tuple(state): label for state, label in zip(states, joint.argmax(1), strict=True)}
        return np.array([place[tuple(row)] for row in shown])


def symbolic(task: Task, modalities: int, *, flip: float, missing: float) -> Latents:
    """The states of every task but "misaligned": P(y0) P(shown | y0) P(label | y0), y0 fair."""
    shown = np.array(list(itertools.product(range(MISSING + 1), repeat=modalities)))
    flip = 0.0 if task == "dominated" else flip
    given = [_given(task, shown, truth, missing) for truth in (0, 1)]
    joint = [0.5 * ((1 - flip) * given[y] + flip * given[1 - y]) for y in (0, 1)]
    probability = np.concatenate(joint)
    possible = probability > 0
    label = np.repeat([0, 1], len(shown))
    return Latents(np.tile(shown, (2, 1))[possible], label[possible], probability[possible])


def _given(
    task: Task, shown: Int[np.ndarray, "state modality"], truth: int, missing: float
) -> Float[np.ndarray, "state"]:
    """P(shown | y0 = truth): a product over the modalities."""
    a, b = shown % 2, shown // 2 % 2
    wrong = a != truth
    error = 0.1 + 0.05 * np.arange(shown.shape[1])
    each = np.full(shown.shape, 0.25)  # two fair bits, unless the task says otherwise
    match task:
        case "redundant":
            each = np.where(wrong, 0, 0.5)
        case "unique":
            each[:, -1] = np.where(wrong[:, -1], 0, 0.5)
        case "synergy":  # all but the last are free
            each[:, -1] = np.where(a.sum(axis=1) % 2 == truth, 0.5, 0)
        case "missing":
            each = np.where(wrong, error, 1 - error) / 2
        case "noisy":  # b tells whether a is garbled
            each = np.where(b, missing / 2, (1 - missing) * np.where(wrong, error, 1 - error))
        case "dominated":
            each[:, 0] = np.where(wrong[:, 0], 0, 0.5)
            each[:, 1] = np.where((a ^ b)[:, 1] == truth, 0.5, 0)
    gone = missing if task == "missing" else 0.0
    return np.where(shown == MISSING, gone, (1 - gone) * each).prod(axis=1)


def temporal(names: Sequence[str], *, flip: float) -> Latents:
    """The states of "misaligned": the first shows a moment, the second one of the patterns.

    As many tokens that can be asked for show a 1 as a 0: neither the second modality alone nor
    any mean over its tokens tells anything.
    """
    patterns = planting.half(SERIES[names[0]].tokens)
    count, tokens = patterns.shape
    label, pattern, moment = np.indices((2, count, tokens)).reshape(3, -1)
    shown = np.zeros((len(label), len(names)), np.int64)
    shown[:, 0], shown[:, 1] = moment, pattern
    right = patterns[pattern, moment] == label
    return Latents(shown, label, np.where(right, 1 - flip, flip) / (count * tokens))
