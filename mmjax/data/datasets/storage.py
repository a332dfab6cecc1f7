"""Prepared data sets on disk: built once by TFDS as array_record, read in bulk into columns.

TensorFlow is never needed: that holds for this file format, and for bytes, numbers and labels.
"""

import contextlib
import functools
import io
import sys
from typing import TYPE_CHECKING

import numpy as np

from mmjax.errors import MissingFileError, StorageError, UserError

# Importing TFDS takes as long as printing the help of a command should.
if TYPE_CHECKING:
    from tensorflow_datasets.core import GeneratorBasedBuilder


def prepare(kind: "type[GeneratorBasedBuilder]", **options: str | None) -> None:
    """Build unless built. TFDS looks, and writes to a folder of its own that it renames at the end.

    `options` are the builder's: `data_dir`, and what else it takes.
    """
    import tensorflow_datasets as tfds

    builder = kind(file_format="array_record", **options)
    if not sys.stderr.isatty():
        tfds.disable_progress_bar()
    config = tfds.download.DownloadConfig(try_download_gcs=False)
    if not builder.data_path.exists():
        print(f"preparing {builder.name}, once; it is kept for later", file=sys.stderr)
    try:
        # What TFDS prints is no result of the program that runs it, and names the user's home.
        with contextlib.redirect_stdout(io.StringIO()):
            builder.download_and_prepare(download_config=config)
    except OSError:
        # A process that built the same and was first: its folder cannot be renamed over.
        if not builder.data_path.exists():
            raise


# Fitting the preprocessing and training both want the training split: two seconds for MNIST.
@functools.lru_cache(maxsize=8)
def columns(
    kind: "type[GeneratorBasedBuilder]", split: str, **options: str | None
) -> dict[str, np.ndarray]:
    """{feature: array [n, ...]} of a split, read-only, in the order in which it was written.

    Where rows differ in shape, as recordings do, the array is one of objects: the rows. Nothing is
    written, and no file is read but those of the data set's own folder.

    Raises:
        FileNotFoundError: it is not prepared.
        OSError: it is damaged, or names files of others.
    """
    builder = kind(file_format="array_record", **options)
    folder = builder.data_path
    if not folder.exists():
        raise MissingFileError(
            f"{folder}: expected the prepared data set {builder.name}, got no such folder; "
            "--data-dir, or --data.data-dir in training, names where it lies or is to be prepared"
        )
    try:
        for path in builder.info.splits[split].filepaths:
            if path.parent != folder:
                raise UserError(f"its dataset_info.json names {path}, which is not in its folder")
        source = builder.as_data_source(split)  # pyright: ignore[reportCallIssue]
        rows = source.__getitems__(range(len(source)))
    except Exception as error:  # each of the readers below TFDS has exceptions of its own
        raise StorageError(
            f"{folder}: expected the prepared data set {builder.name}, got {error!r}; "
            "delete this folder to have it built anew"
        ) from error
    return {name: _column([np.asarray(row[name]) for row in rows]) for name in rows[0]}


def _column(rows: list[np.ndarray]) -> np.ndarray:
    if len({row.shape for row in rows}) == 1:
        column = np.stack(rows)
    else:
        column = np.empty(len(rows), object)
        for i, row in enumerate(rows):
            row.flags.writeable = False
            column[i] = row
    column.flags.writeable = False
    return column
