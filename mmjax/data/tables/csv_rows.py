"""A data set of the user's own: a CSV file whose columns are modalities and labels."""

import itertools
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mmjax.data.dataset import SPLITS, Dataset, Place, check_split
from mmjax.data.preprocessing import Preprocessing
from mmjax.data.share import Share
from mmjax.data.tables.csv_cells import FeatureReader, Reader, TableReader, read_text
from mmjax.data.tables.csv_examples import Cells, CsvSource, Policy, Row, drawn_split
from mmjax.data.tables.csv_targets import Columns, fit_targets, target_readers
from mmjax.data.transforms.audio import AudioTransform
from mmjax.data.transforms.augment import ImageAugment, WordDropout
from mmjax.data.transforms.features import FeatureTransform
from mmjax.data.transforms.image import ImageTransform
from mmjax.data.transforms.table import TableTransform
from mmjax.data.transforms.text import TextTransform
from mmjax.data.transforms.tokenizer import Kind
from mmjax.data.transforms.transform import Transform
from mmjax.errors import UserError
from mmjax.io.bad_rows import Fault, write_report
from mmjax.types import Masked


@dataclass(frozen=True)
class CsvRows(Dataset):
    """Your own CSV file: a column for each modality and for each target.

    A cell is what `mmjax predict --batch` reads: a text, a JSON object, or the path of a file that
    starts at the folder of the CSV file. An empty cell is a missing modality or target. Columns
    that no field names are not read. All rows are in memory, pictures as the model sees them.
    """

    # In UTF-8, with a header.
    file: str = "rows.csv"
    # Where `file` lies, if not in the current folder.
    data_dir: Place = None
    # Columns of paths of PNG, JPEG or WebP pictures.
    images: tuple[str, ...] = ("image",)
    # Columns of texts.
    texts: tuple[str, ...] = ("text",)
    # Columns of paths of WAV recordings.
    recordings: tuple[str, ...] = ()
    # Columns of JSON objects such as {"age": 63, "sex": "f"}.
    tables: tuple[str, ...] = ()
    # Columns of paths of .npy files of floats, [token, feature] or [feature].
    features: tuple[str, ...] = ()
    # Columns of yes-or-no targets: 1 or 0, true or false, yes or no.
    labels: tuple[str, ...] = ("match",)
    # Columns of targets that are one class of several, by its name.
    classes: tuple[str, ...] = ()
    # Columns of targets that are any number of labels, separated by semicolons.
    multi_labels: tuple[str, ...] = ()
    # Columns of targets that are a number.
    numbers: tuple[str, ...] = ()
    # A class in validation or test that no training row has: an error, or a missing target.
    unknown_class: Literal["error", "missing"] = "error"
    # Column that says train, validation or test; none: drawn, and the same for ever.
    split: str | None = None
    # Where splits are drawn, rows with the same cell in this column stay together: a person, say,
    # or a picture; none: rows that are alike in every modality.
    group: str | None = None
    # Shares of validation and test, where splits are drawn.
    shares: tuple[float, float] = (0.1, 0.1)
    # Rows that cannot be read: stop before the training; skip them; or mask the cell, as if the
    # modality were missing. A row whose label cannot be read is skipped then, too.
    on_bad_row: Policy = "stop"
    # CSV file for what was skipped or masked, and why; none: <name of the file>.skipped.csv in the
    # current folder.
    report: Place = None
    # Pixels, height and width, that pictures are brought to.
    image_size: tuple[int, int] = (64, 64)
    # Pictures are read as grey instead of RGB.
    grey: bool = False
    # Changes of the training images.
    augment: ImageAugment = field(default_factory=ImageAugment)
    # Longer texts are cut; parts of words and a tokenizer's special words count too.
    max_words: int = 32
    # At most so many different words, the padding and the unknown word included.
    vocabulary_size: int = 10_000
    # What a text is split into: whole words, or parts of words in one of two ways.
    tokens: Kind = "words"
    # An existing tokenizer.json or vocab.txt, instead of a vocabulary of the training texts.
    tokenizer: str | None = None
    # Share of the training words replaced by the unknown word, 0 to 1.
    word_dropout: float = 0.0
    # Hz that recordings are brought to.
    sample_rate: int = 16_000
    # Longer recordings are cut, at `sample_rate`.
    max_samples: int = 16_000
    # Longer rows of features are cut.
    max_tokens: int = 1

    def __post_init__(self):
        if not (min(self.shares) >= 0 and sum(self.shares) < 1):
            raise UserError(f"shares: expected 0 or more, together below 1, got {self.shares}")

    @property
    def path(self) -> Path:
        """Of the CSV file."""
        return Path(self.data_dir or "") / self.file

    def prepare(self) -> None:
        """Read all, and write the report where rows may be skipped; nothing else is written.

        Raises:
            RowError: a bad row, where these stop; names file, line, column and reason.
            UserError: no CSV, no such columns, a split without rows, or another file is in the
                report's place.
        """
        _, faults = self._found
        if self.on_bad_row == "stop":
            return
        report = Path(self.report or f"{Path(self.file).stem}.skipped.csv")
        write_report(report, faults)
        if faults:
            counts = Counter(dict((fault.line, fault.outcome) for fault in faults).values())
            shares = " and ".join(f"{count} {what}" for what, count in sorted(counts.items()))
            print(
                f"{self.path}: rows that could not be read: {shares}; lines and reasons: {report}",
                file=sys.stderr,
            )

    def preprocessing(self) -> Preprocessing:
        """Statistics and vocabularies of the training rows."""
        rows = self._found[0]["train"]
        fitted = {}
        for name in self._readers:
            there = [row.inputs[name] for row in rows if row.inputs[name] is not None]
            if not there:
                raise UserError(f"{self.path}: column {name!r}: empty in every training row")
            try:
                fitted[name] = self._fitted(name, there)
            except ValueError as error:
                raise UserError(f"{self.path}: column {name!r}: {error}") from error
        return Preprocessing(fitted, fit_targets(self._targets, rows, self._found[0]))

    @property
    def perturbs(self) -> bool:
        """Whether words are dropped."""
        return self.word_dropout > 0

    def source(self, split: str) -> CsvSource:
        """The rows of a split."""
        check_split(split)
        return CsvSource(self._found[0][split], self.images, self.augment)

    def perturb(
        self,
        inputs: dict[str, Masked],
        preprocessing: Preprocessing,
        rng: np.random.Generator,
        share: Share | None = None,
    ) -> dict[str, Masked]:
        """Some words become the unknown word."""
        dropout, changed = WordDropout(self.word_dropout), dict(inputs)
        for name in self.texts:
            transform = preprocessing.transforms[name]
            if isinstance(transform, TextTransform):
                changed[name] = dropout(inputs[name], transform, rng, share)
        return changed

    @property
    def _targets(self) -> Columns:
        kinds = self.labels, self.classes, self.multi_labels, self.numbers
        return Columns(self.path, *kinds, self.unknown_class)

    @cached_property
    def _readers(self) -> dict[str, Reader]:
        """By modality."""
        depth = 1 if self.grey else 3
        plain = ImageTransform((*self.image_size, depth), mean=(0.0,) * depth, std=(1.0,) * depth)
        spell = read_text if self._published is None else self._published.read
        return (
            dict.fromkeys(self.images, plain.read)
            | dict.fromkeys(self.texts, spell)
            | dict.fromkeys(self.recordings, self._sound.read)
            | {name: TableReader() for name in self.tables}
            | {name: FeatureReader() for name in self.features}
        )

    def _fitted(self, name: str, rows: list[Any]) -> Transform:
        """To training rows of which none is missing."""
        if name in self.images:
            return ImageTransform.fit(np.stack(rows))
        if name in self.recordings:
            return self._sound
        if name in self.tables:
            return TableTransform.fit(rows)
        if name in self.features:
            return FeatureTransform.fit(rows, max_tokens=self.max_tokens)
        return self._published or TextTransform.fit(
            rows,
            vocabulary_size=self.vocabulary_size,
            max_words=self.max_words,
            tokens=self.tokens,
        )

    @cached_property
    def _published(self) -> TextTransform | None:
        if self.tokenizer is None:
            return None
        return TextTransform.load(self.tokenizer, max_words=self.max_words)

    @property
    def _sound(self) -> AudioTransform:
        return AudioTransform(sample_rate=self.sample_rate, max_samples=self.max_samples)

    @cached_property
    def _found(self) -> tuple[dict[str, list[Row]], list[Fault]]:
        """The rows of each split, and what was wrong in the file."""
        targets = self._targets.names
        fields = (self.images, self.texts, self.recordings, self.tables, self.features, targets)
        extra = [name for name in (self.split,) if name is not None]
        columns = [*itertools.chain.from_iterable(fields), *extra]
        if twice := [name for name, count in Counter(columns).items() if count > 1]:
            raise UserError(f"--data: expected different columns, got {twice[0]!r} twice")
        if not self._readers or not targets:
            raise UserError("--data: expected a modality and a target, or more of them")
        extra += [self.group] if self.group is not None and self.split is None else []
        cells = Cells(
            self.path, self._readers, target_readers(self._targets), (self.split or "", self._place)
        )
        rows, faults = cells.read({*columns, *extra}, self.on_bad_row)
        splits = {split: [row for row in rows if row.split == split] for split in SPLITS}
        if not all(splits.values()):
            counts = {split: len(found) for split, found in splits.items()}
            raise UserError(
                f"{self.path}: expected rows in every split, got {counts}; --data.split names a "
                "column that says which row is of which"
            )
        return splits, faults

    def _place(self, cells: Mapping[str, str]) -> str:
        """The split of a row, the same for ever whatever rows are added; UserError for no split."""
        if self.split is not None:
            check_split(cells[self.split])
            return cells[self.split]
        alike = [cells[name] for name in self._readers] if self.group is None else cells[self.group]
        return drawn_split(alike, self.shares)
