"""Tables: good files of every kind, and the package's reader of them."""

import io
import tarfile
import tempfile
import zipfile
from functools import cache
from pathlib import Path

import numpy as np

from mmjax.io.tables import RowError, read_rows
from tests.faults.good import npy, pictures

JSON_LINES = b'{"a": 1, "b": [0.5, null]}\n\n{"a": "x", "c": {"d": true}}\n'
CSV = [b'a;b\n1;"x\ny"\n', "a\tb\n1\tö\n".encode("utf-16"), b"sep=|\na|b\n1|2\n"]


def read(path: Path) -> None:
    """All rows; errors of rows name their file and place, and cells are of the known types."""
    for place, row in read_rows(path):
        if isinstance(row, RowError):
            assert str(row).startswith(f"{path}:{place}: "), row
            continue
        for cell in row.values():
            known = (str, bool, int, float, bytes, list, dict, np.ndarray, type(None))
            assert type(cell) in known, cell


@cache
def parquet(compression: str = "snappy") -> list[bytes]:
    """One of each type of column."""
    import pyarrow as pa
    from pyarrow import parquet

    columns = {
        "text": ["a", None, "b"],
        "number": [0.5, 1.5, None],
        "count": [1, 2, 3],
        "picture": [{"bytes": b"\xff", "path": "a"}, None, {"bytes": None, "path": None}],
        "features": pa.array([[1.0, 2.0], None, []], pa.list_(pa.float32())),
        "when": pa.array([1, 2, None], pa.timestamp("ns", "UTC")),
        "kind": pa.array(["x", "y", "x"]).dictionary_encode(),
    }
    written = []
    for rows in (1000, 2):
        file = io.BytesIO()
        parquet.write_table(pa.table(columns), file, compression=compression, row_group_size=rows)
        written.append(file.getvalue())
    return written


@cache
def plain_parquet() -> list[bytes]:
    """Not compressed, so that changes get further."""
    return parquet("none")


def npys() -> list[bytes]:
    """One of each type of array."""
    values = [np.arange(6.0).reshape(3, 2), np.array(["a", "ö"]), np.array([b"a", b"\xff"])]
    values += [np.array(["2024-02-29"], "M8[s]"), np.array([True, False])]
    return [npy(value) for value in values]


def npz(*contents: bytes) -> bytes:
    """An archive of these arrays."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, content in enumerate(contents):
            archive.writestr(f"{number}.npy", content)
    return file.getvalue()


GZIP = {"chunks": (2,), "compression": 1, "shuffle": True}


@cache
def hdf5() -> list[bytes]:
    """Of both generations of the format."""
    import h5py

    written = []
    for version in ("earliest", "latest"):
        with tempfile.TemporaryDirectory() as folder:
            with h5py.File(Path(folder) / "a.h5", "w", libver=version) as file:
                pictures = np.arange(24, dtype=np.uint8).reshape(4, 3, 2)
                file.create_dataset("picture", data=pictures, chunks=(2, 3, 2), compression=1)
                file["text"] = ["a", "ö", "", "d"]
                file["fixed"] = np.array([b"a", b"b", b"c", b"d"])
                file["truth"] = np.array([True, False, True, True])
                ragged = file.create_dataset("ragged", 4, h5py.vlen_dtype(np.int32))
                ragged[:] = [np.arange(length) for length in range(4)]
                chunked = file.create_dataset("chunked", 4, h5py.string_dtype(), **GZIP)
                chunked[:] = ["a", "ö", "", "d" * 40]
                file["link"] = h5py.SoftLink("/text")
                file.create_group("group")["x"] = 3
            written.append((Path(folder) / "a.h5").read_bytes())
    return written


@cache
def tars() -> list[bytes]:
    """One of each variant of the format."""
    written = []
    for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w", format=form) as archive:
            for name, content in {
                "a/0.jpg": b"\xff\xd8" * 300,
                "a/0.txt": b"a",
                "1.json": b'{"a": 1}',
                "x" * (90 if form == tarfile.USTAR_FORMAT else 120) + ".cls": b"3",
            }.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        written.append(file.getvalue())
    return written


@cache
def array_record() -> dict[str, bytes]:
    """A file of two records of several kinds of features, and those beside it, by name."""
    import tensorflow_datasets as tfds
    from array_record.python.array_record_module import ArrayRecordWriter

    kinds = tfds.features
    features = kinds.FeaturesDict(
        {
            "image": kinds.Image(shape=(None, None, 3)),
            "label": kinds.ClassLabel(names=["cat", "dog"]),
            "type": kinds.Text(),
            "price": np.float32,
            "steps": kinds.Tensor(shape=(2, 3), dtype=np.float32),
            "ragged": kinds.Sequence(np.int64),
            "more": {"x": np.int32, "parts": kinds.Sequence({"a": np.int64})},
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        features.save_config(folder)
        writer = ArrayRecordWriter(str(Path(folder) / RECORDS), "group_size:1")
        for i in range(2):
            steps = np.arange(6, dtype=np.float32).reshape(2, 3) + i
            row = {"image": io.BytesIO(pictures("png")[0]), "label": i - 1, "type": f"größe {i}"}
            row |= {"price": i / 2, "steps": steps, "ragged": [1, 2][: 2 * i]}
            row |= {"more": {"x": i, "parts": [{"a": 3}]}}
            writer.write(features.serialize_example(features.encode_example(row)))
        writer.close()
        return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


RECORDS = "a-train.array_record-00000-of-00001"


def read_features(path: Path) -> None:
    """The features of the records beside them; errors name the record."""
    read(path.parent / RECORDS)


def member(size: int, name: str = "a.jpg") -> bytes:
    """A tar archive that begins with a file of so many zeros, of which few are there."""
    header = tarfile.TarInfo(name)
    header.size = size
    return header.tobuf() + bytes(min(size, 10**8))


def repeated() -> bytes:
    """A Parquet file of one long text in many rows."""
    import pyarrow as pa
    from pyarrow import parquet

    indices = pa.array(np.zeros(50, np.int32))
    texts = pa.DictionaryArray.from_arrays(indices, pa.array(["x" * 2**24]))
    file = io.BytesIO()
    parquet.write_table(pa.table({"a": texts}), file, store_schema=False, compression="zstd")
    return file.getvalue()


def unwritten() -> bytes:
    """An HDF5 file of very many rows that were never written."""
    import h5py

    file = io.BytesIO()
    with h5py.File(file, "w") as archive:
        archive.create_dataset("a", (10**12,), "f4", chunks=(1000,))
    return file.getvalue()


def with_checksums(content: bytes) -> bytes:
    """A tar archive whose headers have their checksums, so that they are looked into."""
    found = bytearray(content)
    for place in range(0, len(found) - 511, 512):
        if found[place + 257 : place + 262] == b"ustar":
            found[place + 148 : place + 156] = b" " * 8
            total = sum(found[place : place + 512])
            found[place + 148 : place + 156] = f"{total:06o}\0 ".encode()
    return bytes(found)
