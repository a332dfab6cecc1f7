"""Which picture does a word mean? Emoji that were never seen are searched by their keywords.

A dual encoder learns from pictures (Fluent Emoji 3D, 32 x 32) and their names and tags
(emojibase). Splits: by subgroup, so that nothing like a test picture is trained on; by concept, so
that a man and a woman of one job stay together; by code, at random; by drawing style. Compared with
chance, the nearest training picture by colour and HOG (Dalal and Triggs 2005), and ridge regression
from these to words; the dual encoder reads the same (`hog`).

    npm pack emojibase-data@17.0.0 @lobehub/fluent-emoji-3d@1.1.0
    python experiments/emoji_search.py --manual-dir .

writes rows.csv with its pictures, the runs and results.json to runs/emoji_search; the same command
goes on where it was stopped. Other languages, styles or shares need another --workdir. A run can
then be searched: mmjax index, mmjax search. Mean average precision by concept: 0.239 ± 0.005 (3
seeds), ridge regression 0.225, nearest picture 0.193, chance 0.020; by style 0.531, 0.508, 0.533,
0.005; by subgroup 0.092, 0.084, 0.093, 0.021.
"""

import json
import re
from collections.abc import Mapping, Sequence
from csv import DictReader, DictWriter
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import jax.numpy as jnp
import numpy as np
import tyro
from at_once import at_once
from food_table import members

import mmjax
from mmjax.config.sweep import Point
from mmjax.data.tables import columns
from mmjax.devices import compilation_cache
from mmjax.encoders.hog import descriptors
from mmjax.evaluation.evaluate import evaluate
from mmjax.io import json_file
from mmjax.metrics.retrieval import average_precision
from mmjax.search import Embedder
from mmjax.search.zero_shot import ZeroShot
from mmjax.train.loop.many_runs import fit_many

WORDS = "emojibase-data-17.0.0.tgz"
PICTURES = {  # by drawing style: the tarball, and the files
    "fluent": ("lobehub-fluent-emoji-3d-1.1.0.tgz", r"package/assets/[0-9a-f-]+\.webp"),
    "google": ("emoji-datasource-google-16.0.0.tgz", r"package/img/google/64/[0-9a-f-]+\.png"),
    "twitter": ("emoji-datasource-twitter-16.0.0.tgz", r"package/img/twitter/64/[0-9a-f-]+\.png"),
}
Style = Literal["fluent", "google", "twitter"]
TESTED: Style = "fluent"  # pictures of other styles are for training
SIDE = 32
CELLS, BINS = 4, 8  # of HOG
SPLITS = ("concept", "subgroup", "code")  # columns whose equal cells stay together
DRAWN = "style"  # a fourth split: the tested style is not trained on
# emojibase's groups, described by common words; no picture is trained with its group.
GROUPS = {
    "0": "smiling face",
    "1": "person",
    "3": "animal",
    "4": "food",
    "5": "travel",
    "6": "sport",
    "7": "tool",
    "8": "symbol",
    "9": "flag",
}
RIDGES = (1.0, 10.0, 100.0, 1000.0)  # penalties; the best is chosen by the validation pictures
# Parts of a code that say who does something: joiners, signs of the sexes, man, woman, person.
PEOPLE = ("FE0F", "200D", "2640", "2642", "1F468", "1F469", "1F9D1")


def write_table(
    manual_dir: Path, out: Path, languages: Sequence[str], styles: Sequence[str] = (TESTED,)
) -> None:
    """Write rows.csv, a row for each name or tag of each picture, and a folder of pictures."""
    (out / "pictures").mkdir(parents=True, exist_ok=True)
    pictures = {}
    for style in styles:
        tarball, files = PICTURES[style]
        for name, content in members(manual_dir / tarball, files):
            code = _plain(Path(name).stem.upper())
            pictures[code, style] = f"pictures/{style}-{code}{Path(name).suffix}"
            (out / pictures[code, style]).write_bytes(content)
    pattern = rf"package/({'|'.join(map(re.escape, languages))})/data\.json"
    texts = {name.split("/")[1]: content for name, content in members(manual_dir / WORDS, pattern)}
    if missing := [one for one in languages if one not in texts]:
        raise mmjax.UserError(f"--languages: {WORDS} has no {', '.join(missing)}")
    draft = out / "draft.csv"
    with draft.open("w", newline="", encoding="utf-8") as file:
        fields = ("image", "words", "code", "style", "split", "group", "subgroup", "concept")
        writer: DictWriter[str] = DictWriter(file, fields)
        writer.writeheader()
        for text in texts.values():
            for one in json.loads(text):
                code = _plain(one["hexcode"])
                if str(one.get("group")) not in GROUPS:
                    continue  # a part of emoji, such as a skin colour
                concept = "-".join(p for p in code.split("-") if p not in PEOPLE) or "person"
                row = {"group": one["group"], "subgroup": one["subgroup"], "concept": concept}
                for style in styles:
                    if (code, style) not in pictures:
                        continue
                    part = "validation" if sha256(code.encode()).digest()[0] < 26 else "test"
                    row |= {"split": part if style == TESTED else "train"}
                    row |= {"image": pictures[code, style], "code": code, "style": style}
                    for words in dict.fromkeys([one["label"], *one.get("tags", ())]):
                        writer.writerow(row | {"words": words})
    draft.replace(out / "rows.csv")


def _plain(code: str) -> str:
    """Without the sign that asks for a coloured picture, which only one of the sources writes."""
    return "-".join(part for part in code.split("-") if part != "FE0F")


def table(folder: Path, split: str, test: float = 0.2) -> mmjax.data.TableData:
    """`test`: share of the subgroups, concepts or codes; of a style all but a tenth is tested."""
    drawn: dict[str, Any] = {"split": "split"} if split == DRAWN else {"group": split}
    return mmjax.data.TableData(
        file="rows.csv",
        data_dir=str(folder),
        columns={
            "image": columns.ImageColumn(size=(SIDE, SIDE)),
            "words": columns.TextColumn(),
            "code": columns.GroupColumn(),
            "style": columns.GroupColumn(),
        },
        shares=(0.05, test),
        **drawn,
    )


def experiment(data: mmjax.data.TableData, steps: int) -> mmjax.Experiment:
    """A dual encoder of colours and HOG, and a bag of words."""
    words: Any = data.preprocessing().transforms["words"]
    loss = mmjax.objectives.InfoNce(target="code", modalities=("image", "words"))
    return mmjax.Experiment(
        model=mmjax.models.DualEncoder(
            encoders={
                "image": mmjax.encoders.Hog(128, CELLS, BINS, hidden=(512,), dropout=0.3),
                "words": mmjax.encoders.BagOfWords(words.vocabulary_size, dim=128),
            },
            dim=128,
        ),
        objectives={"pairs": loss},
        data=data,
        optim=mmjax.optim.AdamW(peak_lr=2e-3, weight_decay=0.1),
        steps=steps,
        batch_size=512,
        ema=0.99,
        keeping=mmjax.Keeping(eval_every=steps, log_every=500, keep=1),
    )


class Task:
    """The test pictures, what they are called, and the queries: keywords of training and test."""

    def __init__(self, folder: Path, data: mmjax.data.TableData) -> None:
        self.pictures, self.names, self.groups = {}, {}, {}
        with (folder / "rows.csv").open(newline="", encoding="utf-8") as file:
            names, groups = {}, {}
            for row in DictReader(file):
                names.setdefault(row["code"], set()).add(row["words"])
                groups[row["code"]] = GROUPS[row["group"]]
        for split in ("train", "validation", "test"):
            source = data.source(split)
            found = source.read(np.arange(len(source)), None)
            codes = [str(code) for code in found.targets["code"]]
            styles = [str(style) for style in found.targets["style"]]
            order = np.unique([codes, styles], axis=1, return_index=True)[1]  # of its rows one
            if split != "train":
                order = [row for row in order if styles[row] == TESTED]
            self.pictures[split] = np.stack([found.inputs["image"][row] for row in order])
            self.names[split] = [names[codes[row]] for row in order]
            self.groups[split] = [groups[codes[row]] for row in order]
        known = set().union(*self.names["train"])
        self.queries = {
            split: sorted(known & set().union(*self.names[split]))
            for split in ("validation", "test")
        }

    def having(self, split: str, word: str) -> np.ndarray:
        """Which pictures are called so `[picture]`."""
        return np.array([word in own for own in self.names[split]])

    def score(self, scores: np.ndarray, split: str = "test") -> float:
        """Mean average precision of the keywords; scores `[query, picture]`."""
        right = np.stack([self.having(split, word) for word in self.queries[split]])
        return float(average_precision(scores, right).mean())


def features(pixels: np.ndarray) -> np.ndarray:
    """What `hog` computes of uint8 `[n, h, w, 3]`, with colours of twice the weight."""
    found = np.asarray(descriptors(jnp.asarray(pixels, jnp.float32) / 255, CELLS, BINS), np.float64)
    weight = np.tile([2.0] * 3 + [1.0] * BINS, CELLS**2)
    return found * weight


def nearest(task: Task, split: str) -> np.ndarray:
    """A picture's score for a word: its likeness to the nearest training picture of that word."""
    train, test = features(task.pictures["train"]), features(task.pictures[split])
    distances = np.linalg.norm(train[:, None] - test[None], axis=2)
    return np.stack(
        [-distances[task.having("train", word)].min(axis=0) for word in task.queries[split]]
    )


def ridge(task: Task, split: str) -> np.ndarray:
    """Ridge regression from the features to the words; the penalty by the validation pictures."""
    train = features(task.pictures["train"])
    mean, std = train.mean(axis=0), train.std(axis=0) + 1e-6

    def scores(split: str, penalty: float) -> np.ndarray:
        words = np.stack([task.having("train", word) for word in task.queries[split]], axis=1)
        x, y = (train - mean) / std, words - words.mean(axis=0)
        weights = np.linalg.solve(x.T @ x + penalty * np.eye(x.shape[1]), x.T @ y)
        return (((features(task.pictures[split]) - mean) / std) @ weights).T

    penalty = max(RIDGES, key=lambda one: task.score(scores("validation", one), "validation"))
    return scores(split, penalty)


def trained(job: tuple[Path, mmjax.data.TableData, int, int]) -> list[Path]:
    """Train on a split with every seed, as far as that is not done; returns the runs."""
    home, data, steps, seeds = job
    compilation_cache.enable()
    return [
        home / one.name for one in fit_many([Point({}, experiment(data, steps))], home, seeds=seeds)
    ]


def main(
    manual_dir: Path,
    splits: tuple[str, ...] = ("concept", "subgroup"),
    languages: tuple[str, ...] = ("en",),
    styles: tuple[Style, ...] = (TESTED,),
    test: float = 0.2,
    seeds: int = 3,
    steps: int = 3000,
    workdir: Path = Path("runs/emoji_search"),
) -> None:
    """Train on each split, and print the table.

    Args:
        manual_dir: folder with the two tarballs
        splits: concept, subgroup, code (a man may be learned from where a woman of his job is
            tested), style (learns from all styles but fluent)
        styles: drawings to learn from; google and twitter are other drawings of the same emoji (npm
            pack emoji-datasource-google@16.0.0), fluent are those that are searched
        languages: of names and tags, such as en de fr ja; all are learned together
        test: share of the pictures that are searched; the more there are, the harder it is
        seeds: trainings of each split
        steps: steps of each training
        workdir: the folder for the table, the runs and the results
    """
    compilation_cache.enable()
    if unknown := sorted(set(splits) - {*SPLITS, DRAWN}):
        raise SystemExit(f"--splits {unknown[0]}: choose from {', '.join([*SPLITS, DRAWN])}")
    if TESTED not in styles or (DRAWN in splits and len(styles) < 2):
        raise SystemExit(f"--styles: expected {TESTED}, and another one for the split {DRAWN!r}")
    if not (workdir / "rows.csv").exists():
        write_table(manual_dir, workdir, languages, styles)
    tables = {split: table(workdir, split, test) for split in splits}
    for data in tables.values():
        data.prepare()
    jobs = {split: (workdir / split, data, steps, seeds) for split, data in tables.items()}
    for number, runs in enumerate(at_once(trained, list(jobs.values())), 1):
        print(f"trained {number} of {len(jobs)}: {runs[0].parent}", flush=True)
    results: dict[str, Any] = {}
    for split, data in tables.items():
        task = Task(workdir, data)
        count = (len(task.queries["test"]), len(task.pictures["test"]))
        chance = np.mean(
            [task.score(np.random.default_rng(seed).random(count)) for seed in range(20)]
        )
        maps, metrics, right = [], [], []
        for run in trained(jobs[split]):
            embed = Embedder(run)
            pictures = embed("image", list(task.pictures["test"]))
            maps.append(task.score(embed("words", task.queries["test"]) @ pictures.T))
            metrics.append(evaluate(run))
            classify = ZeroShot(run, list(GROUPS.values()))
            answers = classify([{"image": picture} for picture in task.pictures["test"]])
            said = [answer["class"]["value"] for answer in answers]
            right.append(float(np.mean(np.array(said) == task.groups["test"])))
        shares = [task.groups["test"].count(name) for name in GROUPS.values()]
        results[split] = {
            "queries": count[0],
            "pictures": count[1],
            "map": {
                "chance": float(chance),
                "nearest": task.score(nearest(task, "test")),
                "ridge": task.score(ridge(task, "test")),
                "dual encoder": maps,
            },
            "names and tags": metrics,
            "groups": {"commonest": max(shares) / count[1], "zero-shot": right},
        }
    json_file.write(workdir / "results.json", {"steps": steps, "splits": results})
    print(described(results))


def described(results: Mapping[str, Any]) -> str:
    """Three Markdown tables: keywords, then every name and tag, then groups."""
    first = ["| split | keywords | pictures | chance | nearest | ridge | dual encoder |"]
    first += ["| --- " * 7 + "|"]
    second = ["| split, side that is searched | recall at 1 | at 5 | at 10 | median rank |"]
    second += ["| --- " * 5 + "|"]
    third = ["| split | the commonest group | zero-shot accuracy of 9 groups |"]
    third += ["| --- " * 3 + "|"]
    for split, found in results.items():
        mean = found["map"]
        parts = [f"{mean[name]:.3f}" for name in ("chance", "nearest", "ridge")]
        parts.append(_spread(mean["dual encoder"]))
        first.append(
            f"| {split} | {found['queries']} | {found['pictures']} | {' | '.join(parts)} |"
        )
        for side in ("image", "words"):
            names = [f"recall_{k}_{side}" for k in (1, 5, 10)] + [f"median_rank_{side}"]
            cells = [_spread([one[f"pairs/{n}"] for one in found["names and tags"]]) for n in names]
            second.append(f"| {split}, {side} | {' | '.join(cells)} |")
        groups = found["groups"]
        third.append(f"| {split} | {groups['commonest']:.3f} | {_spread(groups['zero-shot'])} |")
    return "\n\n".join("\n".join(lines) for lines in (first, second, third))


def _spread(values: Sequence[float]) -> str:
    spread = f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else ""
    return f"{np.mean(values):.3f}{spread}"


if __name__ == "__main__":
    tyro.cli(main, description=__doc__)
