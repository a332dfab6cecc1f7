"""What all rows of a table must be read for: fitted transforms, and rows that these cannot read."""

import importlib.metadata
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mmjax.data.dataset import SPLITS
from mmjax.data.preprocessing import Preprocessing
from mmjax.data.tables.findings import Findings
from mmjax.data.tables.prepared import locked
from mmjax.data.tables.reading import Reader
from mmjax.data.tables.source import Store
from mmjax.data.tables.splits import Splits
from mmjax.errors import UserError
from mmjax.io import json_file
from mmjax.io.bad_rows import Fault, first
from mmjax.io.progress import shown

if TYPE_CHECKING:
    from mmjax.data.tables.table_data import TableData

_FILE = "checked.json"  # beside prepared rows; written after preprocessing.json


@dataclass(frozen=True)
class Checked:
    """What was found in the rows of a table."""

    preprocessing: Preprocessing
    masked: Mapping[int, Sequence[str]]  # modalities whose values are not used, by position
    unused: Sequence[int]  # positions of rows that are skipped
    faults: Sequence[Fault]  # why
    facts: Mapping[str, Any]  # counts, as JSON


def check(
    data: "TableData",
    reader: Reader,
    store: Store,
    numbers: np.ndarray,
    splits: Splits,
    faults: Sequence[Fault],
) -> Checked:
    """Read all rows twice: once to fit the transforms, once to see what these cannot read.

    Args:
        numbers: the split of each row, as an index in `SPLITS`
        splits: of the rows of the file
        faults: those that are known

    Raises:
        RowError: a row cannot be read, and the policy is to stop; names file, place and column.
        UserError: a column is empty or cannot be fitted.
    """
    preprocessing = _fitted(data, store, numbers, faults)
    counted = Findings(data.columns, preprocessing, data.balance)
    masked: dict[int, tuple[str, ...]] = {}
    unused, found = [], []
    with shown("checking the rows", len(store)) as tell:
        for place, row in enumerate(store):
            tell(place)
            errors = counted.errors(row)
            kept, late = reader.judged(row, errors)
            found += late
            if kept is None:
                unused.append(place)
                continue
            if late:
                masked[place] = tuple(errors)
            counted.add(SPLITS[numbers[place]], kept)
    facts = counted.facts(splits, [*faults, *found])
    return Checked(preprocessing, masked, unused, found, facts)


def save(folder: Path, checked: Checked, balance: str | None) -> None:
    """Keep what was found beside prepared rows, so that they need not be read for it again.

    A folder that cannot be written, such as another person's, stays as it is.
    """
    if not os.access(folder, os.W_OK):
        return
    masked = {str(place): names for place, names in checked.masked.items()}
    found = {"unused": checked.unused, "masked": masked, "faults": checked.faults}
    with locked(folder):
        checked.preprocessing.save(folder)
        json_file.write(folder / _FILE, _key(balance) | found | {"facts": checked.facts})


def load(folder: Path, balance: str | None) -> Checked | None:
    """What `save` kept; None if nothing or damaged, for another `balance` or by another mmjax."""
    try:
        content = json_file.read(folder / _FILE)
        preprocessing = Preprocessing.load(folder)
    except (FileNotFoundError, UserError):
        return None
    if {name: content.pop(name, None) for name in _key(balance)} != _key(balance):
        return None
    content["masked"] = {int(place): names for place, names in content["masked"].items()}
    content["faults"] = [Fault(*fault) for fault in content["faults"]]
    return Checked(preprocessing=preprocessing, **content)


def _key(balance: str | None) -> dict[str, Any]:
    return {"mmjax": importlib.metadata.version("mmjax"), "balance": balance}


def _fitted(
    data: "TableData", store: Store, numbers: np.ndarray, faults: Sequence[Fault]
) -> Preprocessing:
    """Transforms and targets, fitted to the training rows in one pass."""
    fits = {name: column.fitting() for name, column in data.columns.items()}
    present = dict.fromkeys(fits, False)
    for place, row in zip(numbers, store, strict=True):
        if place:
            continue
        for name, fit in fits.items():
            value = row.values[name]
            if value is None:
                continue
            present[name] = True
            try:
                fit.add(value)
            except UserError:
                continue  # the second pass judges it
    fitted: dict[str, Any] = {}
    for name, fit in fits.items():
        if not present[name]:
            why = first([fault for fault in faults if fault.column == name])
            raise UserError(f"{data.path}: column {name!r}: empty in every training row{why}")
        try:
            fitted[name] = fit.result()
        except UserError as error:
            raise UserError(f"{data.path}: column {name!r}: {error}") from error
    inputs = {name: fitted[name] for name, column in data.columns.items() if not column.target}
    targets = {name: fitted[name] for name, column in data.columns.items() if column.target}
    return Preprocessing(inputs, targets)
