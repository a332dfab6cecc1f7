"""Prepared data sets on disk: built once by TFDS, read into columns without TensorFlow.

TensorFlow is not needed for array_record files of bytes, numbers and labels.
"""

import contextlib
import functools
import io
import sys
from typing import TYPE_CHECKING

import numpy as np

from mmjax.errors import MissingFileError, StorageError, UserError

if TYPE_CHECKING:  # importing TFDS is slow
    from tensorflow_datasets.core import GeneratorBasedBuilder

Kind = type["GeneratorBasedBuilder"]


def prepare(kind: Kind, **options: str | None) -> None:
    """Build a data set unless it is built; TFDS writes to a draft folder and renames it at the end.

    `options` are the builder's, `data_dir` and `manual_dir`.
    """
    import tensorflow_datasets as tfds

    builder = kind(file_format="array_record", **options)
    if not sys.stderr.isatty():
        tfds.disable_progress_bar()
    config = tfds.download.DownloadConfig(try_download_gcs=False)
    if not builder.data_path.exists():
        print(f"preparing {builder.name}, once; it is kept for later", file=sys.stderr)
    try:
        # TFDS prints to stdout, which is for results.
        with contextlib.redirect_stdout(io.StringIO()):
            builder.download_and_prepare(download_config=config)
    except OSError:
        # Another process built the same data set first, so that the draft cannot be renamed.
        if not builder.data_path.exists():
            raise


# Cached: preprocessing and training both read the training split, two seconds for MNIST.
@functools.lru_cache(maxsize=8)
def columns(kind: Kind, split: str, **options: str | None) -> dict[str, np.ndarray]:
    """{feature: array `[n, ...]`} of a split, read-only, in the order in which it was written.

    Where rows differ in shape, as recordings do, the array holds one object for each row.

    Raises:
        MissingFileError: the data set is not prepared.
        StorageError: it is damaged, or names files outside its folder.
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
    except Exception as error:  # the readers that TFDS uses raise many kinds of errors
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
