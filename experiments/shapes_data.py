"""SHAPES, Andreas et al. 2016 (arXiv:1511.02799): the official files, and drawn examples.

    python experiments/shapes_data.py --manual-dir DIR

compares the rules of shapes_rules.py with the files in DIR: {train.small,val,test}.{query,
query_str.txt,output,input.npy}. On all 2,688 questions the answers and the texts agree.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import shapes_rules as rules
import tyro
from jaxtyping import Bool, UInt8
from shapes_rules import Question

import mmjax
from mmjax.data.dataset import check_split
from mmjax.data.transforms.image import ImageTransform
from mmjax.data.transforms.text import TextTransform

SPLITS = {"train.small": 640, "val": 1024, "test": 1024}  # questions of the official files
HELD_OUT = ("left_of left_of", "left_of below", "right_of below", "above left_of")
HELD_OUT += ("below above", "below right_of")
SHARES = (0.2, 0.6, 0.2)  # training questions with 0, 1 and 2 relations
LABELS = np.array([f"{kind} {cell}" for kind in ("related", "true") for cell in range(9)])


class Examples(NamedTuple):
    """Questions about pictures."""

    pictures: UInt8[np.ndarray, "batch 30 30 3"]  # red, green, blue
    questions: list[Question]
    answers: Bool[np.ndarray, "batch"]
    cells: Bool[np.ndarray, "batch 2 9"]  # see `rules.related`

    def take(self, rows: Sequence[int]) -> "Examples":
        """Some of the examples."""
        questions = [self.questions[row] for row in rows]
        return Examples(self.pictures[rows], questions, self.answers[rows], self.cells[rows])


def examples(
    count: int, asked: Sequence[Question], shares: np.ndarray, rng: np.random.Generator
) -> Examples:
    """Draw examples; `shares` are the probabilities of the questions."""
    scene = rules.scenes(count, rng)
    drawn = [asked[i] for i in rng.choice(len(asked), count, p=shares)]
    cells = rules.related(drawn, scene)
    return Examples(rules.draw(scene), drawn, np.asarray(cells[:, 1].any(axis=1)), cells)


def official(manual_dir: Path, split: str) -> Examples:
    """Read train.small, val or test; UserError where a file is missing or does not fit."""
    try:
        stored = np.load(manual_dir / f"{split}.input.npy", allow_pickle=False)
        queries, truth = (
            (manual_dir / f"{split}.{end}").read_text().splitlines() for end in ("query", "output")
        )
    except (OSError, ValueError) as error:
        raise mmjax.UserError(f"--manual-dir {manual_dir}: expected SHAPES, {error}") from error
    if stored.shape != (len(queries), 30, 30, 3) or stored.dtype != np.uint8:
        raise mmjax.UserError(
            f"{split}.input.npy: expected uint8 [{len(queries)}, 30, 30, 3], got {stored.shape}"
        )
    known = {query: rules.parse(query) for query in set(queries)}
    answers = np.array([line == "true" for line in truth])
    asked, pictures = [known[query] for query in queries], stored[..., ::-1]
    return Examples(pictures, asked, answers, rules.related(asked, rules.scene_of(pictures)))


def texts(manual_dir: Path, split: str) -> list[str]:
    """The questions in the authors' words."""
    return (manual_dir / f"{split}.query_str.txt").read_text().splitlines()


def agreement(data: Examples) -> float:
    """The share of answers that the rules give for the scenes read from the pictures."""
    return float(
        np.mean(rules.answer(data.questions, rules.scene_of(data.pictures)) == data.answers)
    )


@dataclass(frozen=True)
class Shapes(mmjax.data.Dataset):
    """Training examples drawn anew in every step; the official val and test."""

    manual_dir: mmjax.data.Place = None  # folder of the official files
    held_out: tuple[str, ...] = HELD_OUT  # templates that are not trained on
    train_size: int = 65_536  # training examples of an epoch
    modalities: tuple[str, ...] = ("picture", "question")  # those that are read

    def prepare(self) -> None:
        """Read the official files."""
        _ = self.official

    @cached_property
    def official(self) -> Mapping[str, Examples]:
        """By name of our split."""
        folder, names = Path(self.manual_dir or ""), {"validation": "val", "test": "test"}
        return {split: official(folder, name) for split, name in names.items()}

    def preprocessing(self) -> mmjax.data.Preprocessing:
        """All words of the grammar, and statistics of 2,048 drawn pictures."""
        texts = [question.text for question in rules.questions()[0]]
        words = TextTransform.fit(texts, vocabulary_size=32, max_words=0)
        drawn = rules.draw(rules.scenes(2048, np.random.default_rng(0)))
        transforms = {"picture": ImageTransform.fit(drawn), "question": words}
        return mmjax.data.Preprocessing(
            {name: transforms[name] for name in self.modalities},
            {
                "answer": mmjax.data.targets.Binary(),
                "cells": mmjax.data.targets.MultiLabel(tuple(map(str, LABELS))),
            },
        )

    def source(self, split: str) -> mmjax.data.Source:
        check_split(split)
        if split != "train":
            return Fixed(self.official[split], self.modalities)
        return Drawn(self, {one for part in self.official.values() for one in part.questions})


class Fixed(mmjax.data.Source):
    """Examples that are held in memory, such as an official split."""

    def __init__(self, examples: Examples, modalities: Sequence[str]) -> None:
        self._examples, self._modalities = examples, modalities

    def __len__(self) -> int:
        return len(self._examples.answers)

    def read(self, indices: np.ndarray, rng: Any, own: slice = slice(None)) -> mmjax.data.Examples:
        """Pictures uint8 `[b, 30, 30, 3]`, texts, and the target "answer", 0 or 1."""
        rows = indices[own]
        inputs = {
            "picture": self._examples.pictures[rows],
            "question": [self._examples.questions[row].text for row in rows],
        }
        return mmjax.data.Examples(
            {name: inputs[name] for name in self._modalities},
            {
                "answer": self._examples.answers[rows].astype(np.float32),
                "cells": [LABELS[cells.ravel()].tolist() for cells in self._examples.cells[rows]],
            },
        )


class Drawn(mmjax.data.Source):
    """Examples that are drawn when they are read; without `rng` always the same."""

    def __init__(self, data: Shapes, left_out: Collection[Question]) -> None:
        questions, shares = rules.questions(data.held_out, SHARES)
        kept = [i for i, question in enumerate(questions) if question not in left_out]
        self._questions = [questions[i] for i in kept]
        self._shares = shares[kept] / shares[kept].sum()
        self._size, self._modalities = data.train_size, data.modalities

    def __len__(self) -> int:
        return self._size

    def read(self, indices: np.ndarray, rng: Any, own: slice = slice(None)) -> mmjax.data.Examples:
        """The same kinds of rows as `Fixed`."""
        rng = np.random.default_rng(0) if rng is None else rng
        drawn = examples(len(indices), self._questions, self._shares, rng)
        return Fixed(drawn, self._modalities).read(np.arange(len(indices)), None, own)


mmjax.register(Shapes, family="data")


def main(manual_dir: Path) -> None:
    """Print how well the rules fit each official split.

    Args:
        manual_dir: folder with the files of SHAPES
    """
    print("| split | questions | answers agree | texts agree | pixels differ by, of 255 |")
    print("| --- | --- | --- | --- | --- |")
    for split in SPLITS:
        data = official(manual_dir, split)
        again = rules.draw(rules.scene_of(data.pictures)).astype(int)
        said = [one.text for one in data.questions]
        same = np.mean([a == b for a, b in zip(said, texts(manual_dir, split), strict=True)])
        cells = (f"{agreement(data):.2%}", f"{same:.2%}")
        cells += (f"{np.abs(again - data.pictures).mean():.2f}",)
        print(f"| {split} | {len(data.answers)} | {' | '.join(cells)} |")


if __name__ == "__main__":
    tyro.cli(main, description=__doc__)
