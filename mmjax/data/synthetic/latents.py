"""Synthetic tasks as joint distributions of what modalities show and the label."""

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
    """P(shown, label): a table of every possible state, from which examples are drawn."""

    shown: Int[np.ndarray, "state modality"]  # the symbol of each modality
    label: Int[np.ndarray, "state"]
    probability: Float[np.ndarray, "state"]

    def draw(
        self, count: int, draws: Draws
    ) -> tuple[Int[np.ndarray, "batch modality"], Int[np.ndarray, "batch"]]:
        """Draw the symbols and labels of `count` examples."""
        until = np.cumsum(self.probability)
        state = np.searchsorted(until / until[-1], draws.random(count), side="right")
        return self.shown[state], self.label[state]

    def best_accuracy(self, modalities: Sequence[int]) -> float:
        """sum_s max_y P(s, y) over the states s of these modalities."""
        return float(self._joint(modalities)[1].max(axis=1).sum())

    def decide(self, shown: Int[np.ndarray, "batch modality"]) -> Int[np.ndarray, "batch"]:
        """The more likely label of what all modalities show; 0 where both are equally likely."""
        states, joint = self._joint(range(self.shown.shape[1]))
        label = {tuple(state): y for state, y in zip(states, joint.argmax(axis=1), strict=True)}
        return np.array([label[tuple(row)] for row in shown])

    def _joint(
        self, modalities: Sequence[int]
    ) -> tuple[Int[np.ndarray, "state some"], Float[np.ndarray, "state 2"]]:
        """The states of some modalities, and their probability with each label."""
        some = self.shown[:, list(modalities)]
        states, place = np.unique(some, axis=0, return_inverse=True)
        joint = np.zeros((len(states), 2))
        np.add.at(joint, (place.ravel(), self.label), self.probability)
        return states, joint


def symbolic(task: Task, modalities: int, *, flip: float, missing: float) -> Latents:
    """Every task but "misaligned": P(y0) P(shown | y0) P(label | y0), with P(y0) = 1/2."""
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
    """P(shown | y0 = truth), a product over the modalities."""
    a, b = shown % 2, shown // 2 % 2
    wrong = a != truth
    error = 0.1 + 0.05 * np.arange(shown.shape[1])
    each = np.full(shown.shape, 0.25)  # two random bits, unless the task says otherwise
    match task:
        case "redundant":
            each = np.where(wrong, 0, 0.5)
        case "unique":
            each[:, -1] = np.where(wrong[:, -1], 0, 0.5)
        case "synergy":  # all but the last are random
            each[:, -1] = np.where(a.sum(axis=1) % 2 == truth, 0.5, 0)
        case "missing":
            each = np.where(wrong, error, 1 - error) / 2
        case "noisy":  # b says whether a is random
            each = np.where(b, missing / 2, (1 - missing) * np.where(wrong, error, 1 - error))
        case "dominated":
            each[:, 0] = np.where(wrong[:, 0], 0, 0.5)
            each[:, 1] = np.where((a ^ b)[:, 1] == truth, 0.5, 0)
    gone = missing if task == "missing" else 0.0
    return np.where(shown == MISSING, gone, (1 - gone) * each).prod(axis=1)


def temporal(names: Sequence[str], *, flip: float) -> Latents:
    """The task "misaligned": the first modality shows a moment, the second one of the patterns.

    Half of a pattern's tokens are 1, so that neither the second modality alone nor the mean of its
    tokens says anything about the label.
    """
    patterns = planting.half(SERIES[names[0]].tokens)
    count, tokens = patterns.shape
    label, pattern, moment = np.indices((2, count, tokens)).reshape(3, -1)
    shown = np.zeros((len(label), len(names)), np.int64)
    shown[:, 0], shown[:, 1] = moment, pattern
    right = patterns[pattern, moment] == label
    return Latents(shown, label, np.where(right, 1 - flip, flip) / (count * tokens))
