"""Several data sets as one: for tasks that no single data set has all targets of."""

import dataclasses
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mmjax.data.dataset import SPLITS, Dataset, Examples, Rows, Source, check_split
from mmjax.data.preprocessing import Preprocessing
from mmjax.data.share import Rng
from mmjax.errors import UserError


class MixedSource(Source):
    """The examples of all parts, one part after the other; in training each in its own number.

    A modality or target that a part does not have is missing in its examples.
    """

    def __init__(self, parts: Mapping[str, Source], shares: Mapping[str, float] | None) -> None:
        """`shares`: of each part in a training epoch, of sum 1; None: every example once."""
        self._parts = [*parts.values()]
        sizes = np.array([len(part) for part in self._parts])
        if shares is not None:
            wanted = np.array([shares[name] for name in parts]) * sizes.sum()
            sizes = np.maximum(np.rint(wanted).astype(int), 1)
        self._ends = np.cumsum(sizes)
        self._sizes = sizes

    def __len__(self) -> int:
        return int(self._ends[-1])

    @property
    def threads(self) -> int:
        """How many batches are read at once: as many as every part allows."""
        return min(part.threads for part in self._parts)

    def read(self, indices: np.ndarray, rng: Rng | None, own: slice = slice(None)) -> Examples:
        """Rows of every modality and target of any part, None where a part has none."""
        number = np.searchsorted(self._ends, indices, side="right")
        found, place = [], []
        for part, source in enumerate(self._parts):
            chosen = np.flatnonzero(number == part)
            kept = np.flatnonzero(np.isin(chosen, np.arange(len(indices))[own]))
            local = indices[chosen] - (self._ends[part] - self._sizes[part])
            if rng is not None and self._sizes[part] < len(source):
                # A part with fewer places than examples: which of them is drawn each time.
                local = rng.integers(0, len(source), len(local))
            local = local % len(source)
            # Drawn for all rows, so that an example is the same whichever process reads it.
            examples = source.read(local, rng) if len(local) else Examples({}, {})
            found.append(_taken(examples, kept))
            place.append(chosen[kept])
        order = np.argsort(np.concatenate(place), kind="stable")
        counts = [len(rows) for rows in place]
        return Examples(
            _joined([examples.inputs for examples in found], counts, order),
            _joined([examples.targets for examples in found], counts, order),
        )


def _taken(examples: Examples, kept: np.ndarray) -> Examples:
    def some(rows: Mapping[str, Rows]) -> dict[str, Rows]:
        return {name: [values[i] for i in kept] for name, values in rows.items()}

    return Examples(some(examples.inputs), some(examples.targets))


def _joined(
    parts: list[Mapping[str, Rows]], counts: list[int], order: np.ndarray
) -> dict[str, list[Any]]:
    names = dict.fromkeys(name for part in parts for name in part)
    joined = {
        name: [
            row
            for part, count in zip(parts, counts, strict=True)
            for row in part.get(name, [None] * count)
        ]
        for name in names
    }
    return {name: [rows[i] for i in order] for name, rows in joined.items()}


@dataclass(frozen=True)
class Mixed(Dataset):
    """Data sets that are trained on together; their modalities and targets are joined by name.

    What a part lacks is missing in its examples and counts for nothing. A modality or target that
    several parts have is read with the transform of the first of them, so these must be alike.
    """

    parts: Mapping[str, Dataset] = field(default_factory=dict)  # two or more, by names of yours
    # How often each part is drawn in training, relative to the others; empty: by their sizes.
    rates: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.rates and set(self.rates) != set(self.parts):
            raise UserError(
                f"data.rates: expected one for each of {sorted(self.parts)}, got "
                f"{sorted(self.rates)}"
            )
        if not all(rate > 0 for rate in self.rates.values()):
            raise UserError(f"data.rates: expected numbers above 0, got {dict(self.rates)}")
        for name, part in self.parts.items():
            if part.perturbs:
                raise UserError(
                    f"data.parts.{name}: changes whole batches, as word_dropout does, which would "
                    "reach the other parts too; turn that off"
                )

    def bound(self, inputs: Collection[str], targets: Collection[str]) -> "Mixed":
        """With parts that are complete for the model."""
        if len(self.parts) < 2:
            raise UserError(f"data.parts: expected two data sets or more, got {[*self.parts]}")
        parts = {name: part.bound(inputs, targets) for name, part in self.parts.items()}
        return dataclasses.replace(self, parts=parts)

    @property
    def shares_rows(self) -> bool:
        """Rates draw examples of a part again, and a part may share rows itself."""
        return bool(self.rates) or any(part.shares_rows for part in self.parts.values())

    def prepare(self) -> None:
        """Prepare all parts."""
        for part in self.parts.values():
            part.prepare()

    def facts(self) -> Mapping[str, Any]:
        """The rows of all parts, and the facts of each."""
        parts = {name: dict(part.facts()) for name, part in self.parts.items()}
        rows = {split: sum(facts["rows"][split] for facts in parts.values()) for split in SPLITS}
        return {"rows": rows, "parts": parts}

    def preprocessing(self) -> Preprocessing:
        """The transforms and targets of all parts; UserError where two of a name cannot be one."""
        transforms, targets = {}, {}
        for name, part in self.parts.items():
            fitted = part.preprocessing()
            for known, new in ((transforms, fitted.transforms), (targets, fitted.targets)):
                for key, value in new.items():
                    if type(known.setdefault(key, value)) is not type(value):
                        raise UserError(
                            f"data.parts.{name}: {key!r} is {type(value).__name__}, and "
                            f"{type(known[key]).__name__} in a part before: name it differently"
                        )
        return Preprocessing(transforms, targets)

    def source(self, split: str) -> MixedSource:
        """In training the parts in the shares of `rates`; else every example once."""
        check_split(split)
        parts = {name: part.source(split) for name, part in self.parts.items()}
        if split != "train" or not self.rates:
            return MixedSource(parts, None)
        total = sum(self.rates.values())
        return MixedSource(parts, {name: rate / total for name, rate in self.rates.items()})
