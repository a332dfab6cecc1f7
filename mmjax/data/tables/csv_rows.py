"""A user's own data set: a CSV file whose columns are modalities and targets."""

import dataclasses
import itertools
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mmjax.data.dataset import SPLITS, Dataset, Inputs, Place, check_split
from mmjax.data.preprocessing import Preprocessing
from mmjax.data.share import Rng, Share
from mmjax.data.tables import csv_file
from mmjax.data.tables.csv_file import Policy, Reader, Row, optional
from mmjax.data.tables.csv_source import CsvSource
from mmjax.data.targets import Binary, Category, MultiLabel, Number, Target
from mmjax.data.transforms.audio import AudioTransform
from mmjax.data.transforms.augment import ImageAugment, drop_words
from mmjax.data.transforms.features import FeatureTransform
from mmjax.data.transforms.image import ImageTransform
from mmjax.data.transforms.table import TableTransform
from mmjax.data.transforms.text import TextTransform
from mmjax.data.transforms.tokenizer import Kind
from mmjax.data.transforms.transform import Transform
from mmjax.errors import UserError
from mmjax.io.bad_rows import Fault


@dataclass(frozen=True)
class CsvRows(Dataset):
    """Your own CSV file: a column for each modality and for each target.

    A cell is a text, a JSON object, or the path of a file, relative to the folder of the CSV file,
    as in `mmjax predict --batch`. An empty cell is a missing modality or target. Columns that no
    field names are not read. All rows are in memory, images already resized.
    """

    file: str = "rows.csv"  # name of the file, in UTF-8, with a header
    data_dir: Place = None  # folder of `file`; none: the current folder
    images: tuple[str, ...] = ("image",)  # columns of paths of PNG, JPEG or WebP images
    texts: tuple[str, ...] = ("text",)  # columns of texts
    recordings: tuple[str, ...] = ()  # columns of paths of WAV recordings
    tables: tuple[str, ...] = ()  # columns of JSON objects such as {"age": 63, "sex": "f"}
    # Columns of paths of .npy files of floats, [token, feature] or [feature].
    features: tuple[str, ...] = ()
    # Columns of yes-or-no targets: 1 or 0, true or false, yes or no.
    labels: tuple[str, ...] = ("match",)
    classes: tuple[str, ...] = ()  # columns of targets that are one class of several, by its name
    # Columns of targets that are any number of labels, separated by semicolons.
    multi_labels: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()  # columns of targets that are a number
    # For a class in validation or test that no training row has: an error, or a missing target.
    unknown_class: Literal["error", "missing"] = "error"
    # Column that says train, validation or test; none: splits are drawn from a hash of each row.
    split: str | None = None
    # Where splits are drawn, rows with the same cell in this column, such as a person, go to the
    # same split; none: rows with equal cells in every modality.
    group: str | None = None
    # Shares of validation and test, where splits are drawn.
    shares: tuple[float, float] = (0.1, 0.1)
    # For rows that cannot be read: stop before the training; skip the row; or mask the cell, so
    # that its modality is missing. A row whose target cannot be read is always skipped.
    on_bad_row: Policy = "stop"
    # CSV file that lists what was skipped or masked, and why; none: <name of the file>.skipped.csv
    # in the current folder.
    report: Place = None
    image_size: tuple[int, int] = (64, 64)  # height and width in pixels that images are resized to
    grey: bool = False  # read images as grey instead of RGB
    # Random changes of the training images.
    augment: ImageAugment = field(default_factory=ImageAugment)
    max_words: int = 32  # longer texts are cut; a tokenizer's special words count too
    # Largest number of different words, with the padding and the unknown word.
    vocabulary_size: int = 10_000
    tokens: Kind = "words"  # how texts are split: "words", "bpe" or "wordpiece"
    # A published tokenizer.json or vocab.txt, instead of a vocabulary of the training texts.
    tokenizer: str | None = None
    word_dropout: float = 0.0  # share of the training words replaced by the unknown word, 0 to 1
    sample_rate: int = 16_000  # Hz that recordings are resampled to
    max_samples: int = 16_000  # longer recordings are cut, at `sample_rate`
    max_tokens: int = 1  # longer rows of features are cut

    def __post_init__(self):
        if not (min(self.shares) >= 0 and sum(self.shares) < 1):
            raise UserError(f"shares: expected 0 or more, together below 1, got {self.shares}")

    @property
    def path(self) -> Path:
        """The CSV file."""
        return Path(self.data_dir or "") / self.file

    def prepare(self) -> None:
        """Read the file, and write the report unless bad rows stop the run.

        Raises:
            RowError: a bad row, if these stop the run; names the file, line, column and reason.
            UserError: the file is no CSV, lacks a column, or has no row of some split; or the
                report's file exists and is not a report.
        """
        _, faults = self._read
        if self.on_bad_row == "stop":
            return
        report = Path(self.report or f"{Path(self.file).stem}.skipped.csv")
        csv_file.report_faults(self.path, faults, report)

    def preprocessing(self) -> Preprocessing:
        """Statistics, vocabularies and classes of the training rows.

        Raises:
            RowError: a class or label of validation or test that no training row has.
            UserError: a column cannot be fitted; names it.
        """
        training = self._read[0]["train"]
        columns = {name: [row.values[name] for row in training] for name in training[0].values}
        inputs = {
            name: self._fitted(name, fit, [row for row in columns[name] if row is not None])
            for name, (_, fit) in self._columns().items()
        }
        targets = {
            name: self._fitted(name, kind.fit, columns[name])
            for name, kind in self._targets.items()
        }
        targets |= {
            name: dataclasses.replace(target, unknown=self.unknown_class)
            for name, target in targets.items()
            if isinstance(target, Category)
        }
        advice = dict.fromkeys(self.classes, "--data.unknown-class missing counts it as missing")
        rows = itertools.chain(*self._read[0].values())
        csv_file.check_targets(self.path, rows, targets, advice)
        return Preprocessing(inputs, targets)

    @property
    def perturbs(self) -> bool:
        return self.word_dropout > 0

    def source(self, split: str) -> CsvSource:
        check_split(split)
        rows, targets = self._read[0][split], tuple(self._targets)
        return CsvSource(rows, self._modalities, targets, self.images, self.augment)

    def perturb(
        self, inputs: Inputs, preprocessing: Preprocessing, rng: Rng, share: Share | None = None
    ) -> Inputs:
        return drop_words(inputs, self.texts, preprocessing, self.word_dropout, rng, share)

    @property
    def _modalities(self) -> tuple[str, ...]:
        return self.images + self.texts + self.recordings + self.tables + self.features

    @property
    def _targets(self) -> Mapping[str, type[Target]]:
        return (
            dict.fromkeys(self.labels, Binary)
            | dict.fromkeys(self.classes, Category)
            | dict.fromkeys(self.multi_labels, MultiLabel)
            | dict.fromkeys(self.numbers, Number)
        )

    def _columns(self) -> Mapping[str, tuple[Reader, Callable[[list], Transform]]]:
        """By modality: what reads a cell, and what fits the transform to the training rows."""
        folder, depth = self.path.parent, 1 if self.grey else 3
        image = ImageTransform((*self.image_size, depth), mean=(0.0,) * depth, std=(1.0,) * depth)
        sound = AudioTransform(sample_rate=self.sample_rate, max_samples=self.max_samples)
        read_image, read_sound = (partial(t.read, folder=folder) for t in (image, sound))
        read_text: Reader = str
        fit_text: Callable[[list], Transform] = partial(
            TextTransform.fit,
            vocabulary_size=self.vocabulary_size,
            max_words=self.max_words,
            tokens=self.tokens,
        )
        if self.tokenizer is not None:
            published = TextTransform.load(self.tokenizer, max_words=self.max_words)
            read_text, fit_text = partial(published.read, folder=folder), lambda rows: published
        fit_features = partial(FeatureTransform.fit, max_tokens=self.max_tokens)
        return (
            dict.fromkeys(
                self.images, (read_image, lambda rows: ImageTransform.fit(np.stack(rows)))
            )
            | dict.fromkeys(self.texts, (read_text, fit_text))
            | dict.fromkeys(self.recordings, (read_sound, lambda rows: sound))
            | {name: (csv_file.table_reader(), TableTransform.fit) for name in self.tables}
            | {name: (csv_file.feature_reader(folder), fit_features) for name in self.features}
        )

    def _fitted(self, name: str, fit: Callable[[list], Any], rows: list) -> Any:
        if not rows:
            raise UserError(f"{self.path}: column {name!r}: empty in every training row")
        try:
            return fit(rows)
        except UserError as error:
            raise UserError(f"{self.path}: column {name!r}: {error}") from error

    @cached_property
    def _read(self) -> tuple[dict[str, list[Row]], list[Fault]]:
        """The rows of each split, and what was wrong in the file."""
        names = [*self._modalities, *self.labels, *self.classes, *self.multi_labels, *self.numbers]
        names += [] if self.split is None else [self.split]
        if twice := [name for name, count in Counter(names).items() if count > 1]:
            raise UserError(f"--data: expected different columns, got {twice[0]!r} twice")
        if not self._modalities or not self._targets:
            raise UserError("--data: expected a modality and a target, or more of them")
        readers: dict[str, Reader] = {} if self.split is None else {self.split: _split_name}
        readers |= {name: optional(kind.read) for name, kind in self._targets.items()}
        readers |= {name: optional(read) for name, (read, _) in self._columns().items()}
        required = set(names)
        if self.split is None and self.group is not None:
            required.add(self.group)
        rows, faults = csv_file.read_file(
            self.path,
            readers,
            required=required,
            policy=self.on_bad_row,
            maskable=self._modalities,
        )
        splits: dict[str, list[Row]] = {split: [] for split in SPLITS}
        for row in rows:
            splits[self._split_of(row)].append(row)
        if not all(splits.values()):
            counts = {split: len(found) for split, found in splits.items()}
            raise UserError(
                f"{self.path}: expected rows in every split, got {counts}; --data.split names a "
                "column that says which row is of which"
            )
        return splits, faults

    def _split_of(self, row: Row) -> str:
        if self.split is not None:
            return row.values[self.split]
        if self.group is not None:
            return csv_file.drawn_split(row.texts[self.group], self.shares)
        return csv_file.drawn_split([row.texts[name] for name in self._modalities], self.shares)


def _split_name(text: str) -> str:
    check_split(text)
    return text
