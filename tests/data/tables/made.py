"""Small tables, made here."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mmjax.data.dataset import SPLITS
from mmjax.data.datasets import TableData


def write(path: Path, rows: list[dict[str, Any]], separator: str = ",") -> Path:
    """A CSV file."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=separator)
        writer.writeheader()
        writer.writerows(rows)
    return path


def made(folder: Path, rows: list[dict[str, Any]], columns, **fields) -> TableData:
    """The data set of a CSV file of these rows."""
    write(folder / "rows.csv", rows)
    return TableData(data_dir=str(folder), columns=columns, **fields)


def everything(data: TableData, split: str) -> dict[str, Any]:
    """All values of a split, by modality and target."""
    source = data.source(split)
    found = source.read(np.arange(len(source)), None)
    return {**found.inputs, **found.targets}


def column(data: TableData, name: str) -> dict[str, list[Any]]:
    """The values of one modality or target, by split."""
    return {split: everything(data, split)[name] for split in SPLITS}


def picture(path: Path, seed: int) -> str:
    """A small picture of noise; its name."""
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 6, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path.name


def splits(count: int) -> list[str]:
    """Three of five rows are for training."""
    return [SPLITS[(0, 0, 0, 1, 2)[i % 5]] for i in range(count)]
