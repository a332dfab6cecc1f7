"""Features of utterances in videos, as CMU-MOSI, CMU-MOSEI and CH-SIMS are handed on.

CMU-MOSEI: Zadeh et al. 2018 (ACL), https://aclanthology.org/P18-1208
"""

import dataclasses
import functools
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mmjax.data.dataset import SPLITS, Dataset, Examples, Place, Source, check_split
from mmjax.data.media.series import open_series
from mmjax.data.preprocessing import Preprocessing
from mmjax.data.share import Rng
from mmjax.data.tables.splits import Rule, split_number
from mmjax.data.targets import Binary, Category, Number
from mmjax.data.transforms.features import FeatureTransform, open_features
from mmjax.errors import UserError
from mmjax.io.tables import RowError, columns_of, read_rows

CONTEXT = "context"  # the modality that shows the utterances around
CLASSES = ("-3", "-2", "-1", "0", "1", "2", "3")


class Utterance(NamedTuple):
    """One row of the table."""

    features: dict[str, np.ndarray | None]  # [token, feature] of each modality
    score: float | None
    video: str
    position: float
    split: int


class UtterancesSource(Source):
    """The utterances of one split; the context is of the same video, so of the same split."""

    draws = False

    def __init__(self, data: "Utterances", rows: list[Utterance], split: int) -> None:
        self._data, self._rows = data, rows
        videos: dict[str, list[int]] = {}
        for i in sorted(range(len(rows)), key=lambda i: rows[i].position):
            videos.setdefault(rows[i].video, []).append(i)
        self._place = {i: (video, k) for video in videos.values() for k, i in enumerate(video)}
        self._own = [i for i, row in enumerate(rows) if row.split == split]
        # Once, not for every neighbour of every batch.
        self._means = _means(rows, data.widths) if data.context else []

    def __len__(self) -> int:
        return len(self._own)

    def read(self, indices: np.ndarray, rng: Rng | None, own: slice = slice(None)) -> Examples:
        """Features float32 `[token, feature]`; the targets "score", "positive" and "class"."""
        rows = [self._own[i] for i in indices[own]]
        inputs: dict[str, list[Any]] = {
            name: [self._rows[i].features[name] for i in rows] for name in self._data.modalities
        }
        if self._data.context:
            inputs[CONTEXT] = [self._context(i) for i in rows]
        scores = [self._answer(i) for i in rows]
        return Examples(inputs, targets_of(scores))

    def _answer(self, row: int) -> float | None:
        video, place = self._place[row]
        place += self._data.ahead
        return self._rows[video[place]].score if place < len(video) else None

    def _context(self, row: int) -> np.ndarray:
        """Mean features of the utterances around, and how far away each is, in utterances."""
        video, place = self._place[row]
        reach = self._data.context
        last = place if self._data.ahead else place + reach  # what is predicted must not be seen
        around = range(max(place - reach, 0), min(last, len(video) - 1) + 1)
        return np.stack(
            [np.append(self._means[video[k]], k - place).astype(np.float32) for k in around]
        )


def _means(rows: list[Utterance], widths: Mapping[str, int]) -> list[np.ndarray]:
    """The mean features of each utterance, its modalities side by side; 0 where one is missing."""
    found = []
    for row in rows:
        parts = []
        for name, width in widths.items():
            features = row.features[name]
            parts.append(np.zeros(width) if features is None else np.mean(features, axis=0))
        found.append(np.concatenate(parts))
    return found


def targets_of(scores: list[float | None]) -> dict[str, list[Any]]:
    """The targets of scores in -3..3; "positive" is missing where the score is 0, as in MulT."""
    return {
        "score": scores,
        "positive": [None if not s else float(s > 0) for s in scores],
        "class": [None if s is None else CLASSES[round(min(max(s, -3), 3)) + 3] for s in scores],
    }


@dataclass(frozen=True)
class Utterances(Dataset):
    """A table with a row for each utterance: features of every modality, a score, a video.

    The file is any that `mmjax data` reads: `.npz` of arrays `[utterance, token, feature]`, Parquet
    or HDF5 of the same, JSON lines of lists, or a CSV file that names a file in each cell: `.npy`,
    or `.csv` with a token in each line, with or without a header.
    Pickles are not read: save their arrays with `numpy.savez`. The features are held in memory.
    Targets: "score", "positive" (yes or no; missing for 0) and "class" (seven, by rounding).
    """

    file: str = ""  # the table, relative to `data_dir`
    data_dir: Place = None  # folder of the file; none: the working folder
    modalities: tuple[str, ...] = ("text", "audio", "vision")  # columns of features
    score: str = "score"  # column of the score, -3 to 3; an empty cell: missing
    video: str = "video"  # column whose equal cells are utterances of one video
    position: str = "position"  # column by whose numbers the utterances of a video are ordered
    split: str | None = None  # column that says the split; none: drawn by the video
    shares: tuple[float, float] = (0.1, 0.2)  # of the videos, for validation and test
    zeros_are_padding: bool = True  # whether tokens whose features are all 0 are left out
    # How many utterances before and after are shown by their mean features, as the modality
    # "context"; 0: none. With `ahead` only those before.
    context: int = 0
    ahead: int = 0  # whose score is the target: 0 its own, 1 that of the next utterance ...

    def __post_init__(self) -> None:
        if self.context < 0 or self.ahead < 0:
            raise UserError(
                f"context, ahead: expected 0 or more, got {self.context} and {self.ahead}"
            )
        if CONTEXT in self.modalities or not self.modalities:
            raise UserError(f"modalities: expected one or more, none called {CONTEXT!r}")

    @property
    def path(self) -> Path:
        """Where the file is."""
        return Path(self.data_dir or ".") / self.file

    @property
    def shares_rows(self) -> bool:
        """An utterance is in the context of its neighbours too, or holds the answer of another."""
        return bool(self.context or self.ahead)

    def prepare(self) -> None:
        """Read the table; UserError, naming the row, where one is not as it should be."""
        if not self.file:
            raise UserError("--data.file: expected a table of utterances, such as mosi.npz")
        _ = self.rows

    @property
    def rows(self) -> list[Utterance]:
        """All utterances; a table is read once for any `context` and `ahead`."""
        return _read(dataclasses.replace(self, context=0, ahead=0), *_state(self.path))

    @property
    def widths(self) -> Mapping[str, int]:
        """How many features each modality has."""
        return _widths(dataclasses.replace(self, context=0, ahead=0), *_state(self.path))

    def preprocessing(self) -> Preprocessing:
        """Statistics of the training split."""
        source = self.source("train")
        examples = source.read(np.arange(len(source)), None)
        transforms = {n: FeatureTransform.fit(rows) for n, rows in examples.inputs.items()}
        targets = examples.targets
        return Preprocessing(
            transforms,
            {
                "score": Number.fit(targets["score"]),
                "positive": Binary(),
                "class": Category(CLASSES, tuple([*targets["class"]].count(c) for c in CLASSES)),
            },
        )

    def source(self, split: str) -> UtterancesSource:
        check_split(split)
        return UtterancesSource(self, self.rows, SPLITS.index(split))


def _state(path: Path) -> tuple[str, int]:
    """What makes a file that was read before another one."""
    return str(path.resolve()), path.stat().st_mtime_ns if path.exists() else 0


@functools.lru_cache(maxsize=4)
def _widths(data: Utterances, path: str, changed: int) -> dict[str, int]:
    rows = _read(data, path, changed)
    found = {}
    for name in data.modalities:
        shown = (row.features[name] for row in rows)
        first = next((features for features in shown if features is not None), None)
        if first is None:
            raise UserError(f"{data.path}: column {name!r} has no features in any row")
        found[name] = first.shape[1]
    return found


@functools.lru_cache(maxsize=4)
def _read(data: Utterances, path: str, changed: int) -> list[Utterance]:
    known = columns_of(data.path)
    wanted = [*data.modalities, data.score, data.video, data.position]
    wanted += [] if data.split is None else [data.split]
    if absent := [name for name in wanted if name not in known]:
        raise UserError(f"{data.path}: no column {absent[0]!r}; choose from {', '.join(known)}")
    rows, rule = [], Rule(shares=data.shares)
    for place, row in read_rows(data.path, required=wanted):
        if isinstance(row, RowError):
            raise UserError(f"{data.path}: {place}: {row}")
        try:
            rows.append(_utterance(data, row, rule))
        except (UserError, ValueError, OSError) as error:
            raise UserError(f"{data.path}: row {place}: {error}") from None
    if not rows:
        raise UserError(f"{data.path}: expected a row or more, got none")
    return rows


def _utterance(data: Utterances, row: Mapping[str, Any], rule: Rule) -> Utterance:
    video = str(row[data.video])
    drawn = int.from_bytes(hashlib.sha256(video.encode()).digest()[:8], "big")
    split = rule.split_of(drawn) if data.split is None else split_number(row[data.split])
    cell = row[data.score]
    score = None if cell is None or str(cell).strip() in ("", "nan") else float(cell)
    if score is not None and not -3 <= score <= 3:
        raise UserError(f"{data.score}: expected a score of -3 to 3, got {cell!r:.60}")
    features = {name: _features(data, name, row[name]) for name in data.modalities}
    return Utterance(features, score, video, float(row[data.position]), split)


def _features(data: Utterances, name: str, cell: Any) -> np.ndarray | None:
    """The tokens of a cell, float32 `[token, feature]`; None where there are none."""
    if cell is None or (isinstance(cell, str) and not cell.strip()):
        return None
    if isinstance(cell, str):
        file = data.path.parent / cell.strip()
        matrix = file.suffix.lower() == ".csv"
        cell = open_series(file, header=False) if matrix else open_features(str(file))
    tokens = np.asarray(cell, np.float32)
    if tokens.ndim != 2:
        raise UserError(f"{name}: expected numbers [token, feature], got {tokens.shape}")
    if data.zeros_are_padding:
        tokens = tokens[np.any(tokens != 0, axis=1)]
    if not np.all(np.isfinite(tokens)):
        raise UserError(f"{name}: expected finite numbers, got NaN or infinity")
    return tokens if len(tokens) else None
