"""array_record files of tensorflow_datasets: their features.json says what a record holds.

https://github.com/google/array_record, https://www.tensorflow.org/datasets/external_tfrecord
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmjax.errors import MissingFileError, UserError
from mmjax.io.safe_open import open_file, read_file
from mmjax.io.tables import strict_json
from mmjax.io.tables.numpy_cell import cell
from mmjax.io.tables.row import Cell, Format, Header, RowError, Rows

FEATURES = "features.json"
BATCH_ROWS = 64
_SPLIT = re.compile(r".*-([a-z]+)\.array_record(-\d+-of-\d+)?", re.IGNORECASE)
_CLASSES = "tensorflow_datasets.core.features."  # of features; naming others would import them


def columns(path: str | os.PathLike[str], format: Format) -> Header:
    """The features, and `split`, which the file's name says."""
    return Header([*_features(path)[0], *_split(path)])


def rows(path: str | os.PathLike[str], format: Format) -> Rows:
    """Rows by their number, from 1.

    Images and other encoded values are bytes, labels the names of their classes (None for -1), and
    nested features dicts. The size of a record is not known before it is unpacked, so read no file
    of a source that you do not trust.

    Raises:
        MissingFileError: features.json is not in the file's folder.
        UserError: one of the two is damaged, or has features of your own.
    """
    from array_record.python.array_record_module import ArrayRecordReader

    (features, parser), split = _features(path), _split(path)
    expected = f"{path}: expected an array_record file"
    open_file(path, expected).close()
    try:
        reader = ArrayRecordReader(os.fspath(path))
        if not (count := reader.num_records()):
            raise UserError("no record is in it")  # so the reader says of any other file
    except Exception as error:  # it raises many kinds of errors
        raise UserError(f"{expected}, got another or a damaged one: {error!s:.300}") from error
    for first in range(0, count, BATCH_ROWS):
        places = range(first, min(first + BATCH_ROWS, count))
        try:
            records = reader.read(list(places))
        except Exception as error:
            raise UserError(f"{expected}, got a damaged one: {error!s:.300}") from error
        for place, record in zip(places, records, strict=True):
            try:
                row = _row(features, parser.parse_example(record))
            except Exception as error:
                yield place + 1, RowError(path, place + 1, f"not of {FEATURES}: {error!s:.300}")
            else:
                yield place + 1, {**split, **row}


def _split(path: str | os.PathLike[str]) -> dict[str, str]:
    named = _SPLIT.fullmatch(Path(path).name)
    return {"split": named[1]} if named else {}


def _features(path: str | os.PathLike[str]) -> tuple[Any, Any]:
    """By name, TFDS's own kinds alone; and what parses a record."""
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core.example_parser import ExampleParserNp

    file = Path(path).parent / FEATURES
    expected = f"{file}: expected the features of {Path(path).name}, as TFDS writes them"
    if not file.exists():
        raise MissingFileError(f"{expected}, got no such file")
    content = read_file(file, expected, 10**7)
    try:
        for name in _classes(strict_json.parse(content.decode())):
            if not name.startswith(_CLASSES):
                raise UserError(f"got {name!r:.100}, which is none of TFDS")
        found = tfds.features.FeatureConnector.from_config(os.fspath(file.parent))
        if not isinstance(found, tfds.features.FeaturesDict):
            raise UserError(f"got no names, but {type(found).__name__}")
        named: Any = found.get_serialized_info()
        return found, ExampleParserNp(named)
    except Exception as error:  # TFDS raises many kinds of errors
        reason = error if isinstance(error, UserError) else repr(error)
        raise UserError(f"{expected}: {reason!s:.300}") from error


def _classes(content: Any) -> list[str]:
    """The names of all classes in a JSON value."""
    if isinstance(content, list):
        return [name for part in content for name in _classes(part)]
    if not isinstance(content, dict):
        return []
    own = [content.get(key) for key in ("pythonClassName", "type")]
    named = [name for name in own if isinstance(name, str)]
    return named + [name for part in content.values() for name in _classes(part)]


def _row(features: Any, found: Mapping[str, Any]) -> dict[str, Cell]:
    import tensorflow_datasets as tfds

    row = {}
    for name, feature in features.items():
        value = found[name]
        if isinstance(feature, tfds.features.ClassLabel):
            row[name] = feature.int2str(int(value)) if value >= 0 else None
        else:
            encoded = isinstance(feature, tfds.features.Image)
            row[name] = _plain(value if encoded else feature.decode_example_np(value))
    return row


def _plain(value: Any) -> Cell:
    if isinstance(value, Mapping):
        return {name: _plain(part) for name, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list) else cell(value)
