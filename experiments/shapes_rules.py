"""SHAPES, Andreas et al. 2016 (arXiv:1511.02799): rules that generate its pictures and questions.

All rules are inferred from the published files. A picture has 3 x 3 cells of 10 x 10 pixels. Each
cell holds a shape with probability 0.8, always in its middle; circle, square and triangle, the
three colours, and small and large are equally likely. A radius (of a square: half its side) is
2.5 or 3.75 pixels, times 0.9 to 1.1; a colour is pure plus -0.2 to 0.2 in each channel, clipped.

A question asks for a cell with one attribute that has a relation to another attribute: `(is red
(left_of (above circle)))` is true where a red cell is directly left of a cell that is directly
above a circle. The cell between may be empty, but not outside the picture.

With these rules 32.8 % of the official questions' answers are yes; officially 35.9 % are, 3.6
standard errors more. The surplus is in the second half of each question's 64 pictures; about other
questions the same pictures give 33.0 %. How the authors chose these pictures is not modelled.

    python experiments/shapes_rules.py --out sheet.png

draws some pictures; shapes_data.py compares the rules with the official files.
"""

import re
from collections.abc import Collection, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tyro
from jaxtyping import Bool, Float, Int, UInt8
from PIL import Image

import mmjax

COLOURS = ("red", "green", "blue")
SHAPES = ("circle", "square", "triangle")
ATTRIBUTES = COLOURS + SHAPES
# Rows down and columns to the right, from what has a relation to what it has it to.
STEPS = {"left_of": (0, 1), "right_of": (0, -1), "above": (1, 0), "below": (-1, 0)}
RELATIONS = tuple(STEPS)
OCCUPIED = 0.8  # probability that a cell holds a shape
RADII = (2.5, 3.75)  # pixels, of small and large shapes
RESIZED, TINTED = 0.1, 0.2  # largest change of a radius (a share) and of a colour channel (of 1)
LENGTHS = (0.1, 0.6, 0.3)  # shares of questions with 0, 1 and 2 relations in train.small
_CELL, _FINE = 10, 16  # pixels along a cell; samples along a pixel, for its coverage
_RADII_DRAWN = 128  # radii whose coverage is computed once
_SMALLEST, _LARGEST = RADII[0] * (1 - RESIZED), RADII[1] * (1 + RESIZED)


class Scene(NamedTuple):
    """Some pictures, as the contents of their cells, which are ordered row by row."""

    occupied: Bool[np.ndarray, "batch 9"]
    shape: Int[np.ndarray, "batch 9"]  # positions in SHAPES; anything where a cell is empty
    radius: Float[np.ndarray, "batch 9"]  # pixels
    colour: Float[np.ndarray, "batch 9 3"]  # red, green, blue, 0 to 1

    def attributes(self) -> Bool[np.ndarray, "batch attribute 9"]:
        """Which cells have which of ATTRIBUTES."""
        hue = self.colour.argmax(axis=2)
        rows = [hue == i for i in range(3)] + [self.shape == i for i in range(3)]
        return np.stack(rows, axis=1) & self.occupied[:, None]


class Question(NamedTuple):
    """(is first (relations[0] (relations[1] second))), with 0 to 2 relations."""

    first: str
    relations: tuple[str, ...]
    second: str

    @property
    def text(self) -> str:
        """The question in words."""
        relations = [relation.replace("_", " ") for relation in self.relations]
        alone = self.second if self.second in COLOURS and not relations else _phrase(self.second)
        return " ".join(["is", _phrase(self.first), *relations, alone])

    @property
    def template(self) -> str:
        """The relations; questions with the same ones differ in their attributes only."""
        return " ".join(self.relations)


def _phrase(attribute: str) -> str:
    return f"a {attribute} shape" if attribute in COLOURS else f"a {attribute}"


def templates() -> list[tuple[str, ...]]:
    """All 21 sequences of at most two relations."""
    pairs = [(a, b) for a in RELATIONS for b in RELATIONS]
    return [(), *((relation,) for relation in RELATIONS), *pairs]


def parse(query: str) -> Question:
    """Read a logical form, such as (is green (left_of red))."""
    match re.findall(r"\w+", query):
        case ["is", first, *relations, second] if {first, second} <= set(ATTRIBUTES) and tuple(
            relations
        ) in templates():
            return Question(first, tuple(relations), second)
    raise mmjax.UserError(f"query: expected such as (is green (left_of red)), got {query!r:.80}")


def scenes(count: int, rng: np.random.Generator) -> Scene:
    """Draw the contents of `count` pictures."""
    cells = (count, 9)
    pure = np.eye(3)[rng.integers(0, 3, cells)]
    return Scene(
        occupied=rng.random(cells) < OCCUPIED,
        shape=rng.integers(0, 3, cells),
        radius=rng.choice(RADII, cells) * (1 + RESIZED * rng.uniform(-1, 1, cells)),
        colour=np.clip(pure + TINTED * rng.uniform(-1, 1, pure.shape), 0, 1),
    )


def questions(
    held_out: Collection[str] = (), lengths: Sequence[float] = LENGTHS
) -> tuple[list[Question], np.ndarray]:
    """All questions whose template is not held out, and how often each is asked.

    `lengths`: shares of questions with 0, 1 and 2 relations, by default those of train.small.
    """
    asked = [r for r in templates() if " ".join(r) not in held_out]
    pairs = [(first, second) for first in ATTRIBUTES for second in ATTRIBUTES]
    found = [Question(first, r, second) for r in asked for first, second in pairs]
    counts = np.bincount([len(one.relations) for one in found], minlength=3)
    weights = np.array([lengths[len(q.relations)] / counts[len(q.relations)] for q in found])
    return found, weights / weights.sum()


@cache
def _seen(relations: tuple[str, ...]) -> np.ndarray:
    """The cell that each of the 9 cells is related to; 9 where a step leaves the picture."""
    cells = []
    for cell in range(9):
        row, column = divmod(cell, 3)
        for relation in relations:
            down, right = STEPS[relation]
            inside = 0 <= row + down < 3 and 0 <= column + right < 3
            row, column = (row + down, column + right) if inside else (9, 9)
        cells.append(3 * row + column if row < 3 else 9)
    return np.array(cells)


def related(asked: Sequence[Question], scene: Scene) -> Bool[np.ndarray, "batch 2 9"]:
    """Which cells stand in a question's relation to its second attribute; which of them are true.

    A cell is true if it has the first attribute too.
    """
    cells, rows = scene.attributes(), np.arange(len(asked))
    first = cells[rows, [ATTRIBUTES.index(one.first) for one in asked]]
    second = cells[rows, [ATTRIBUTES.index(one.second) for one in asked]]
    second = np.pad(second, ((0, 0), (0, 1)))  # nothing stands outside
    seen = np.stack([_seen(one.relations) for one in asked])
    standing = np.take_along_axis(second, seen, axis=1)
    return np.stack([standing, standing & first], axis=1)


def answer(asked: Sequence[Question], scene: Scene) -> Bool[np.ndarray, "batch"]:
    """Whether each question is true of some cell of its picture."""
    return np.asarray(related(asked, scene)[:, 1].any(axis=1))


@cache
def _coverage() -> Float[np.ndarray, "shape radius 10 10"]:
    """The share of each pixel of a cell that a shape of each radius covers."""
    at = (np.arange(_CELL * _FINE) + 0.5) / _FINE - _CELL / 2
    x, y = at[None, None, :], at[None, :, None]
    r = np.linspace(_SMALLEST, _LARGEST, _RADII_DRAWN)[:, None, None]
    circle = x**2 + y**2 < r**2
    square = np.maximum(abs(x), abs(y)) < r
    triangle = (y < r) & (2 * abs(x) < y + r)
    fine = np.stack(np.broadcast_arrays(circle, square, triangle)).astype(np.float32)
    return fine.reshape(3, _RADII_DRAWN, _CELL, _FINE, _CELL, _FINE).mean(axis=(3, 5))


def draw(scene: Scene) -> UInt8[np.ndarray, "batch 30 30 3"]:
    """The pictures, in red, green and blue."""
    nearest = (scene.radius - _SMALLEST) / (_LARGEST - _SMALLEST) * (_RADII_DRAWN - 1)
    covered = _coverage()[scene.shape, np.clip(np.rint(nearest), 0, _RADII_DRAWN - 1).astype(int)]
    levels = 255 * scene.colour * scene.occupied[..., None]
    cells = np.einsum("bcyx,bcl->bcyxl", covered, levels.astype(np.float32))
    grid = cells.reshape(-1, 3, 3, _CELL, _CELL, 3).transpose(0, 1, 3, 2, 4, 5)
    return np.rint(grid).astype(np.uint8).reshape(-1, 3 * _CELL, 3 * _CELL, 3)


def scene_of(pictures: UInt8[np.ndarray, "batch 30 30 3"]) -> Scene:
    """Read the contents of pictures that `draw` or the authors drew."""
    cells = pictures.reshape(-1, 3, _CELL, 3, _CELL, 3).transpose(0, 1, 3, 2, 4, 5) / 255
    cells = cells.reshape(-1, 9, _CELL, _CELL, 3)
    colour = cells.max(axis=(2, 3))
    occupied = colour.max(axis=2) > 0
    peak = np.where(occupied, colour.max(axis=2), 1)[..., None, None]
    covered = cells.max(axis=4) / peak
    area = covered.sum(axis=(2, 3))
    lower = covered[:, :, _CELL // 2 :].sum(axis=(2, 3))  # 3/4 of a triangle, else 1/2
    widest = covered.max(axis=2).sum(axis=2)
    box = np.where(occupied, widest, 1) ** 2  # a square fills it, a circle up to 0.84
    shape = np.where(lower > 0.6 * area, 2, np.where(area > 0.9 * box, 1, 0))
    radius = np.sqrt(area / np.array([np.pi, 4, 2])[shape])
    return Scene(occupied, shape, radius, colour)


def main(out: Path, seed: int = 0) -> None:
    """Draw 4 x 10 pictures.

    Args:
        out: the file to write, such as sheet.png
        seed: of the pictures
    """
    pictures = draw(scenes(40, np.random.default_rng(seed)))
    sheet = pictures.reshape(4, 10, 30, 30, 3).transpose(0, 2, 1, 3, 4).reshape(120, 300, 3)
    Image.fromarray(sheet).save(out)


if __name__ == "__main__":
    tyro.cli(main, description=__doc__)
