"""A user's own data set: any table whose columns are modalities and targets."""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from mmjax.data.dataset import Budget, Dataset, Inputs, Place, check_split
from mmjax.data.preprocessing import Preprocessing
from mmjax.data.share import Rng, Share
from mmjax.data.tables import build, guess
from mmjax.data.tables.columns import (
    BinaryColumn,
    ClassColumn,
    Column,
    ImageColumn,
    TextColumn,
)
from mmjax.data.tables.reading import Policy
from mmjax.data.tables.source import TableSource, balanced
from mmjax.data.tables.splits import Rule, parse_fold
from mmjax.data.transforms.augment import ImageAugment, drop_words
from mmjax.errors import MissingFileError, UserError
from mmjax.io.bad_rows import Fault, report_faults
from mmjax.io.safe_open import read_file
from mmjax.io.tables import Format, RowError, read_rows


@dataclass(frozen=True)
class TableData(Dataset):
    """Your own table: CSV, TSV, JSON lines, Parquet, arrays, tar shards, array_record, a folder.

    `--data.columns image:image caption:text age,bmi:table label:class` says which column of the
    file is which modality or target (`name=column:kind` where the names differ); further flags
    set options, such as `--data.columns.image.size 32 32`. Without it the columns that the model
    and the objectives name are guessed, and shown. A cell is a value or the path of a file,
    relative to the table. An empty cell is a missing modality or target.
    """

    file: str = "rows.csv"  # the file, a folder, or a pattern such as train-{000..009}.tar
    data_dir: Place = None  # folder of `file`; none: the current folder
    columns: Mapping[str, Column] = field(default_factory=dict)
    # Column that says train, validation or test; none: splits are drawn from a hash.
    split: str | None = None
    # Where splits are drawn, rows with the same cell in this column, such as a person, stay
    # together; none: rows that share a file, or are equal in every modality.
    group: str | None = None
    # Shares of validation and test, where splits are drawn.
    shares: tuple[float, float] = (0.1, 0.1)
    modalities: tuple[str, ...] = ()  # those to use; none: all. The splits do not depend on them
    fold: str = ""  # such as 2/5: test on the second of five folds, where splits are drawn
    # File with a line for each row to use: its line number in the table, or its name in a shard.
    subset: str | None = None
    balance: str | None = None  # class or binary target whose values are drawn equally often
    # For rows that cannot be read: stop before the training; skip the row; or mask the cell, so
    # that its modality is missing. A row whose target cannot be read is always skipped.
    on_bad_row: Policy = "stop"
    # CSV file that lists what was skipped or masked, and why; none: <name of the file>.skipped.csv
    # in the current folder.
    report: Place = None
    separator: str | None = None  # of a CSV file; none: found from its header
    encoding: str = "utf-8"  # of text files, such as cp1252
    # Random changes of the training images.
    augment: ImageAugment = field(default_factory=ImageAugment)
    # GB of rows to hold in memory; more are written to shards on disk, and read as they are needed.
    # None: a quarter of what is free.
    memory: Budget = None
    prepared: Place = None  # folder for these shards; none: the folder tensorflow_datasets at home

    def __post_init__(self):
        if not (min(self.shares) >= 0 and sum(self.shares) < 1):
            raise UserError(f"shares: expected 0 or more, together below 1, got {self.shares}")
        if parse_fold(self.fold) and self.split is not None:
            raise UserError("--data.fold: folds are drawn, so leave --data.split out")
        if unknown := sorted(set(self.modalities) - set(self.columns or self.modalities)):
            raise UserError(
                f"--data.modalities {unknown[0]}: choose from {', '.join(self.columns)}"
            )
        classes = [n for n, c in self.columns.items() if isinstance(c, (BinaryColumn, ClassColumn))]
        if self.balance is not None and self.columns and self.balance not in classes:
            raise UserError(
                f"--data.balance {self.balance}: expected a class or binary target, "
                f"{', '.join(classes) or 'which this table has none of'}"
            )

    @property
    def path(self) -> Path:
        """The file."""
        return Path(self.data_dir or "") / self.file

    @property
    def format(self) -> Format:
        """How a text file is written."""
        return Format(self.separator, self.encoding)

    @property
    def rule(self) -> Rule:
        """How rows are divided among the splits."""
        inputs = {name: c for name, c in self.columns.items() if not c.target}
        files = [c.names(name)[0] for name, c in inputs.items() if c.files]
        whole = [one for name, c in inputs.items() for one in c.names(name)]
        fold = parse_fold(self.fold)
        return Rule(self.split, self.group, tuple(files), tuple(whole), self.shares, fold)

    @cached_property
    def subset_ids(self) -> frozenset[str] | None:
        """The places of the rows to use; None: all."""
        if self.subset is None:
            return None
        path = Path(self.data_dir or "") / self.subset
        text = read_file(path, f"{path}: expected a line for each row to use", 10**9).decode()
        return frozenset(line.strip() for line in text.splitlines() if line.strip())

    def using(self, *modalities: str) -> "TableData":
        """The same rows with these modalities alone; what was read already is not read again."""
        other = dataclasses.replace(self, modalities=modalities)
        if "_built" in self.__dict__:
            object.__setattr__(other, "_built", self._built)
        return other

    @property
    def shares_rows(self) -> bool:
        """A row of a rare class is drawn several times where classes are balanced."""
        return self.balance is not None

    def bound(self, inputs: Collection[str], targets: Collection[str]) -> "TableData":
        """The same data with columns guessed for these modalities and targets, where none are."""
        if self.columns:
            return self
        self._require_file()
        found = guess.columns(self.path, self.format, inputs, targets)
        return dataclasses.replace(self, columns=found)

    def prepare(self, *, workers: int = 0, on_disk: bool = False) -> None:
        """Read the table, and write the report unless bad rows stop the run.

        `on_disk`: write shards even if the rows fit into memory, by `workers` processes (0: by
        threads).

        Raises:
            RowError: a bad row, if these stop the run; names the file, line, column and reason.
            UserError: the file is no table, lacks a column, or has no row of some split; or the
                report's file exists and is not a report.
        """
        if on_disk:
            self._require_file()
            made = build.build(self, workers=workers, on_disk=True)
            object.__setattr__(self, "_built", made)
        built = self._built
        if self.on_bad_row != "stop":
            report = Path(self.report or f"{self.path.stem}.skipped.csv")
            report_faults(self.path, built.faults, report)

    def preprocessing(self) -> Preprocessing:
        """Statistics, vocabularies and classes of the training rows."""
        whole = self._built.preprocessing
        used = {name: part for name, part in whole.transforms.items() if self._uses(name)}
        return Preprocessing(used, whole.targets)

    def cells(self, split: str, columns: Sequence[str]) -> dict[str, list[str]]:
        """Any columns of the file, for each row of a split, as text; "" where a cell is empty.

        Raises:
            UserError: the file has no such column.
        """
        check_split(split)
        places = [row.place for row in self._built.store.take(self._built.order[split])]
        rows = dict(read_rows(self.path, format=self.format, required=columns))
        found = [rows[place] for place in places]
        texts = [{} if isinstance(one, RowError) else one for one in found]
        return {n: ["" if one.get(n) is None else str(one[n]) for one in texts] for n in columns}

    @property
    def faults(self) -> Sequence[Fault]:
        """What was wrong in the file."""
        return self._built.faults

    def facts(self) -> Mapping[str, Any]:
        """What was read: rows by split, a digest, and for each column what is missing or cut."""
        return self._built.facts

    @property
    def perturbs(self) -> bool:
        return any(rate > 0 for rate in self._dropouts.values())

    def source(self, split: str) -> TableSource:
        check_split(split)
        built = self._built
        order = built.order[split]
        if self.balance is not None and split == "train":
            rows = (built.store.take(order[i : i + 64]) for i in range(0, len(order), 64))
            order = balanced(order, [row.values[self.balance] for part in rows for row in part])
        transforms = self.preprocessing().transforms
        images = [name for name in transforms if isinstance(self.columns[name], ImageColumn)]
        return TableSource(
            built.store,
            order,
            built.masked,
            modalities=tuple(transforms),
            targets=tuple(built.preprocessing.targets),
            images={name: transforms[name].shape for name in images},  # type: ignore[reportAttributeAccessIssue]
            augment=self.augment,
        )

    def perturb(
        self, inputs: Inputs, preprocessing: Preprocessing, rng: Rng, share: Share | None = None
    ) -> Inputs:
        for name, rate in self._dropouts.items():
            inputs = drop_words(inputs, (name,), preprocessing, rate, rng, share)
        return inputs

    @property
    def _dropouts(self) -> dict[str, float]:
        texts = {n: c for n, c in self.columns.items() if isinstance(c, TextColumn)}
        return {name: column.dropout for name, column in texts.items() if self._uses(name)}

    def _uses(self, modality: str) -> bool:
        return not self.modalities or modality in self.modalities

    def _require_file(self) -> None:
        if not set(self.file) & set("*?[{") and not self.path.exists():
            raise MissingFileError(
                f"{self.path.absolute()}: expected a table, got no such file; --data.file names "
                "it, --data.data-dir (of mmjax evaluate: --data-dir) the folder it is in"
            )

    @cached_property
    def _built(self) -> build.Built:
        self._require_file()
        return build.build(self)
