"""Ranking by preferences: a search learns from choices between two results, and forgets nothing.

A dual encoder finds scikit-learn's digits by the word for them. Made-up people (this part is
planted) then compare two pictures of the digit that was asked for, of the training split, and
prefer the one with more ink; one choice in ten is a slip. The run is fine-tuned with Bradley-Terry
(1952) on the choices and its first objective on its own pairs. Measured on test pictures that
neither training has seen: how often the picture with more ink is the nearer one (without slips),
and the mean average precision of the ten words.

    python experiments/digits_preference.py
    python experiments/digits_preference.py --fast      # does it run?

choices.csv is what the page of `mmjax search INDEX --html` saves. Writes table.md and results.json
to runs/digits_preference. The table over 5 seeds: experiments/README.md.
"""

import csv
import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import tyro
from PIL import Image
from sklearn.datasets import load_digits

import mmjax
from mmjax.data.tables import columns
from mmjax.devices import compilation_cache
from mmjax.io import json_file
from mmjax.metrics.retrieval import average_precision
from mmjax.search import Embedder
from mmjax.train.loop.fit import fit

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
COUNTS = (50, 200, 1000)  # choices
SLIPS = 0.1  # share of choices that are not what people meant
PICTURE = columns.ImageColumn(size=(8, 8), grey=True)
PAIRS = {"image": PICTURE, "words": columns.TextColumn(), "digit": columns.GroupColumn()}
CHOICES = {"words": columns.TextColumn(), "better": PICTURE, "worse": PICTURE}


class Digits:
    """Pictures with their digit, ink and split."""

    def __init__(self) -> None:
        levels, labels = map(np.asarray, load_digits(return_X_y=True))
        self.pixels = np.rint(levels * (255 / 16)).astype(np.uint8).reshape(-1, 8, 8)
        self.labels, self.ink = labels, levels.sum(axis=1)
        drawn = np.random.default_rng(0).permutation(len(labels))
        self.split = np.empty(len(labels), dtype=object)
        for name, part in zip(
            ("train", "validation", "test"), np.split(drawn, [1000, 1200]), strict=True
        ):
            self.split[part] = name

    def compared(self, split: str, count: int, seed: int) -> list[tuple[int, int]]:
        """(the one with more ink, the other) of `count` pairs of one digit; none of equal ink."""
        random, found = np.random.default_rng(seed), []
        rows = np.flatnonzero(self.split == split)
        while len(found) < count:
            one = random.choice(rows)
            other = random.choice(rows[self.labels[rows] == self.labels[one]])
            if self.ink[one] != self.ink[other]:
                found.append((one, other) if self.ink[one] > self.ink[other] else (other, one))
        return found

    def write(self, folder: Path) -> None:
        """rows.csv and a PNG file for each picture."""
        (folder / "pictures").mkdir(parents=True, exist_ok=True)
        for number, pixels in enumerate(self.pixels):
            Image.fromarray(pixels).save(folder / _name(number))
        rows = zip(self.labels, self.split, strict=True)
        lines = ((_name(i), WORDS[d], d, split) for i, (d, split) in enumerate(rows))
        _write(folder / "rows.csv", ("image", "words", "digit", "split"), lines)

    def write_choices(self, path: Path, count: int, seed: int) -> None:
        """What made-up people prefer, with their slips."""
        random, lines = np.random.default_rng(seed), []
        for split, number in (("train", count), ("validation", 20), ("test", 20)):
            for pair in self.compared(split, number, seed):
                better, worse = pair[::-1] if random.random() < SLIPS else pair
                lines.append((WORDS[self.labels[better]], _name(better), _name(worse), split))
        _write(path, ("words", "better", "worse", "split"), lines)


def _name(number: int) -> str:
    return f"pictures/{number}.png"


def _write(path: Path, header: Sequence[str], lines: Iterable[Sequence]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(lines)


def first(folder: Path, steps: int, seed: int) -> mmjax.Experiment:
    """The search, before anybody has compared anything."""
    data = mmjax.data.TableData("rows.csv", data_dir=str(folder), columns=PAIRS, split="split")
    words = mmjax.encoders.BagOfWords(vocabulary_size=16, dim=64)
    return mmjax.Experiment(
        model=mmjax.DualEncoder(
            encoders={"image": mmjax.encoders.Cnn((32, 64), 64), "words": words}, dim=32
        ),
        objectives={
            "pairs": mmjax.objectives.InfoNce(target="digit", modalities=("image", "words"))
        },
        data=data,
        optim=mmjax.optim.Adam(peak_lr=3e-3),
        steps=steps,
        batch_size=64,
        seed=seed,
        keeping=mmjax.Keeping(eval_every=steps, log_every=steps, keep=1),
    )


def taught(own: mmjax.Experiment, run: Path, choices: Path) -> mmjax.Experiment:
    """The fine-tuning: its pairs and the choices in turn, from the run's parameters."""
    said = mmjax.data.TableData(
        choices.name, data_dir=str(choices.parent), columns=CHOICES, split="split"
    )
    return dataclasses.replace(
        own,
        model=own.model.clone(shared={"better": "image", "worse": "image"}),
        objectives={
            **own.objectives,
            "preference": mmjax.objectives.BradleyTerry(queries=("words",)),
        },
        data=mmjax.data.Mixed(
            {"pairs": own.data, "choices": said}, rates={"pairs": 1.0, "choices": 1.0}
        ),
        init=str(run),
    )


def measured(run: Path, digits: Digits, split: str = "test") -> dict[str, float]:
    """Agreement with what people mean, and mean average precision of the ten words."""
    rows = np.flatnonzero(digits.split == split)
    embed = Embedder(run)
    pictures = embed("image", list(digits.pixels[rows][..., None]))
    scores = embed("words", list(WORDS)) @ pictures.T
    place = {int(row): i for i, row in enumerate(rows)}
    right = [
        scores[digits.labels[a], place[a]] > scores[digits.labels[a], place[b]]
        for a, b in digits.compared(split, 2000, seed=1)
    ]
    having = digits.labels[rows][None] == np.arange(10)[:, None]
    return {
        "agreement": float(np.mean(right)),
        "map": float(average_precision(scores, having).mean()),
    }


def described(scores: dict[str, list[dict[str, float]]]) -> str:
    """A Markdown table."""
    lines = ["| choices | agreement, % | mean average precision, % |", "| --- " * 3 + "|"]
    for name, runs in scores.items():
        cells = []
        for metric in ("agreement", "map"):
            values = [100 * one[metric] for one in runs]
            spread = f" ± {np.std(values, ddof=1):.1f}" if len(values) > 1 else ""
            cells.append(f"{np.mean(values):.1f}{spread}")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main(
    fast: bool = False,
    seeds: int | None = None,
    steps: int | None = None,
    workdir: Path | None = None,
) -> None:
    """Train, compare, teach, and print the table.

    Args:
        fast: one seed, 20 steps and 50 choices
        seeds: trainings of each row; none: 5
        steps: of each training; none: 400
        workdir: the folder for tables and runs; runs/digits_preference, or with --fast ..._fast
    """
    compilation_cache.enable()
    seeds, steps = seeds or (1 if fast else 5), steps or (20 if fast else 400)
    workdir = workdir or Path("runs") / f"digits_preference{'_fast' if fast else ''}"
    digits = Digits()
    digits.write(workdir)
    scores: dict[str, list[dict[str, float]]] = {}
    for seed in range(seeds):
        own, run = first(workdir, steps, seed), workdir / f"seed-{seed}" / "none"
        fit(own, run)
        scores.setdefault("none", []).append(measured(run, digits))
        for count in COUNTS[:1] if fast else COUNTS:
            choices = workdir / f"choices-{count}-{seed}.csv"
            digits.write_choices(choices, count, seed)
            fit(taught(own, run, choices), after := run.with_name(str(count)))
            scores.setdefault(f"{count}", []).append(measured(after, digits))
        json_file.write(workdir / "results.json", {"steps": steps, "scores": scores})
    (workdir / "table.md").write_text(described(scores) + "\n", encoding="utf-8")
    print(described(scores))


if __name__ == "__main__":
    tyro.cli(main, description=__doc__)
