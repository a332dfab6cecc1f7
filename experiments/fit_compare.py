"""Is mmjax fit as good as a careful hour with scikit-learn? On four tables, with as much time.

    python experiments/fit_compare.py --manual-dir DIR --minutes 2

DIR holds the tarballs of food_table.py and mnist's four files (a table that lacks them is left
out). The tables: foods (photograph and five nutrients, 20 groups), MNIST match (does the caption
name the digit?), and two planted ones: "text" (one word of a note decides) and "both" (a word and
the sign of a number must agree). scikit-learn gets pixels, nutrients, TF-IDF and numbers side by
side; of logistic regression, random forest, gradient boosting and a multilayer perceptron the best
on the validation rows counts. Where AutoGluon is installed (`pip install autogluon.multimodal` into
an environment of its own, then mmjax), its MultiModalPredictor is a column, without pretrained
weights (automm.py). All sides read the same split from the table.
"""

import contextlib
import csv
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import automm
import food_table
import numpy as np
import tyro
from PIL import Image
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

import mmjax

SIDE = 16  # pixels of scikit-learn's pictures
DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
SPLITS = ("train", "validation", "test")


class Task(NamedTuple):
    """A table and its columns."""

    path: Path
    target: str
    columns: Sequence[str]  # of mmjax fit: --columns
    numbers: Sequence[str] = ()
    texts: Sequence[str] = ()
    pictures: Sequence[str] = ()


def foods(manual_dir: Path, home: Path, seed: int) -> Task:
    """Groups of foods; foods that share a photograph are in one split, of which a fifth is test."""
    food_table.write_table(manual_dir / "food", home)
    with (home / "rows.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    pictures = sorted({row["picture"] for row in rows})
    drawn = np.random.default_rng(seed).choice(SPLITS, len(pictures), p=(0.7, 0.1, 0.2))
    split = dict(zip(pictures, drawn.tolist(), strict=True))
    known = {row["food_group"] for row in rows if split[row["picture"]] == "train"}
    kept = [row | {"split": split[row["picture"]]} for row in rows if row["food_group"] in known]
    write(home / "rows.csv", kept)
    numbers = food_table.NUTRIENTS
    columns = ["image:image", f"{','.join(numbers)}:table", "food_group:class"]
    return Task(home / "rows.csv", "food_group", columns, numbers, (), ("image",))


def mnist_match(manual_dir: Path, home: Path, seed: int) -> Task:
    """6,000 pictures of digits with a caption, of which half are true."""
    data = mmjax.data.MnistMatch(
        data_dir=str(home / "prepared"), manual_dir=str(manual_dir / "mnist")
    )
    data.prepare()
    rng, rows = np.random.default_rng(seed), []
    (home / "pictures").mkdir(parents=True, exist_ok=True)
    for split, count in (("train", 4000), ("validation", 1000), ("test", 1000)):
        images, labels = data.columns(split)
        for place in rng.choice(len(labels), count, replace=False):
            name, label = f"pictures/{split}-{place}.png", int(labels[place])
            Image.fromarray(np.asarray(images[place])[:, :, 0]).save(home / name)
            match = int(rng.integers(2))
            said = label if match else int(rng.choice([d for d in range(10) if d != label]))
            text = f"the digit {DIGITS[said]}"
            rows.append({"image": name, "text": text, "match": match, "split": split})
    write(home / "rows.csv", rows)
    columns = ["image:image", "text:text", "match:binary"]
    return Task(home / "rows.csv", "match", columns, (), ("text",), ("image",))


def planted(kind: str, home: Path, seed: int) -> Task:
    """2,000 rows of a note of six words and two numbers; a tenth of the answers are wrong."""
    rng, rows = np.random.default_rng(seed), []
    words = [f"word{number}" for number in range(30)]
    for place in range(2000):
        good, sign = int(rng.integers(2)), int(rng.integers(2))
        note = [*rng.choice(words, 5).tolist(), ("bad", "fine")[good]]
        answer = good if kind == "text" else int(good == sign)
        answer = answer if rng.random() > 0.1 else 1 - answer
        size = abs(float(rng.normal())) * (1 if sign else -1)
        row = {"note": " ".join(rng.permutation(note)), "size": size, "age": float(rng.normal())}
        split = SPLITS[0 if place < 1400 else 1 if place < 1600 else 2]
        rows.append(row | {"answer": answer, "split": split})
    home.mkdir(parents=True, exist_ok=True)
    write(home / "rows.csv", rows)
    columns = ["note:text", "size,age:table", "answer:binary"]
    return Task(home / "rows.csv", "answer", columns, ("size", "age"), ("note",))


def write(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a CSV file."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer: csv.DictWriter[str] = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def fitted(task: Task, out: Path, minutes: float, seed: int) -> tuple[float, str]:
    """Test accuracy of mmjax fit, and what it chose."""
    command = [sys.executable, "-m", "mmjax", "fit", str(task.path), "--target", task.target]
    command += ["--split", "split", "--columns", *task.columns, "--minutes", str(minutes)]
    shutil.rmtree(out, ignore_errors=True)
    subprocess.run([*command, "--seed", str(seed), "-o", str(out)], check=True, capture_output=True)
    best = json.loads((out / "models.json").read_text())["models"][0]
    return best["test"][f"{task.target}/accuracy"], best["model"]


def concatenated(task: Task, minutes: float, seed: int) -> tuple[float, str]:
    """Test accuracy of the best of scikit-learn's classifiers on all features side by side."""
    begun = time.monotonic()
    with task.path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    split = np.array([row["split"] for row in rows])
    x, y = np.hstack(list(_features(task, rows, split))), np.array([r[task.target] for r in rows])
    x = StandardScaler().fit(x[split == "train"]).transform(x)
    models: dict[str, Callable[[], Any]] = {
        "logistic regression": lambda: LogisticRegression(C=0.1, max_iter=300),
        "random forest": lambda: RandomForestClassifier(300, random_state=seed, n_jobs=-1),
        "perceptron": lambda: MLPClassifier((128,), early_stopping=True, random_state=seed),
        "boosting": lambda: HistGradientBoostingClassifier(random_state=seed),
    }
    found = {}
    for name, make in models.items():
        if time.monotonic() - begun > 60 * minutes:
            break
        model = make().fit(x[split == "train"], y[split == "train"])
        parts = [model.score(x[split == s], y[split == s]) for s in SPLITS[1:]]
        found[name] = (parts[0], parts[1])
    best = max(found, key=lambda name: found[name][0])
    return found[best][1], best


def _features(task: Task, rows: Sequence[Mapping[str, str]], split: np.ndarray) -> Iterator[Any]:
    if task.numbers:
        yield np.array([[float(row[name] or 0) for name in task.numbers] for row in rows])
    for name in task.texts:
        texts = [row[name] for row in rows]
        fitting = TfidfVectorizer().fit(
            [t for t, s in zip(texts, split, strict=True) if s == "train"]
        )
        yield fitting.transform(texts).toarray()
    for name in task.pictures:
        pictures = [Image.open(task.path.parent / row[name]).convert("RGB") for row in rows]
        yield np.stack([np.asarray(p.resize((SIDE, SIDE))).ravel() for p in pictures])


def main(
    manual_dir: Path | None = None,
    minutes: float = 2.0,
    seeds: int = 3,
    workdir: Path = Path("runs/fit_compare"),
) -> None:
    """Print a table of test accuracies, mean and standard deviation over seeds of data and fit.

    Args:
        manual_dir: folder with food/ and mnist/; without it only the planted tables are made
        minutes: for each side and table
        seeds: repetitions
        workdir: for tables and runs
    """
    tasks: dict[str, Callable[[Path, int], Task]] = {
        f"planted {kind}": lambda home, seed, kind=kind: planted(kind, home, seed)
        for kind in ("text", "both")
    }
    if manual_dir is not None:
        root = manual_dir
        tasks |= {"food": lambda home, seed: foods(root, home, seed)}
        tasks |= {"MNIST match": lambda home, seed: mnist_match(root, home, seed)}
    names = ["mmjax fit", "scikit-learn"]
    if importlib.util.find_spec("autogluon") is not None:
        names.append("AutoGluon")
    print("| table |", " ".join(f"{name}, % | it chose |" for name in names))
    print("| --- |", " ".join("--- | --- |" for _ in names), flush=True)
    for name, make in tasks.items():
        found: dict[str, list[tuple[float, str]]] = {side: [] for side in names}
        for seed in range(seeds):
            home = workdir / f"{name.replace(' ', '-')}-{seed}"
            task = make(home, seed)
            found["mmjax fit"].append(fitted(task, home / "fit", minutes, seed))
            found["scikit-learn"].append(concatenated(task, minutes, seed))
            if "AutoGluon" in found:
                with quiet():
                    found["AutoGluon"].append(automm.fitted(task, home / "ag", minutes, seed))
        cells = [cell for side in found.values() for cell in _cells(side)]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Drops what is printed: AutoGluon's progress and logs."""
    with contextlib.ExitStack() as stack:
        nowhere = stack.enter_context(open(os.devnull, "w"))
        stack.enter_context(contextlib.redirect_stdout(nowhere))
        stack.enter_context(contextlib.redirect_stderr(nowhere))
        yield


def _cells(side: Sequence[tuple[float, str]]) -> tuple[str, str]:
    values = 100 * np.array([accuracy for accuracy, _ in side])
    spread = f" ± {values.std(ddof=1):.1f}" if len(values) > 1 else ""
    return f"{values.mean():.1f}{spread}", ", ".join(sorted({chosen for _, chosen in side}))


if __name__ == "__main__":
    tyro.cli(main, description=__doc__)
