"""Sets of points: .npy, KITTI's .bin, PLY and PCD files.

PLY: Turk 1994, http://paulbourke.net/dataformats/ply.
PCD: https://pointclouds.org/documentation/tutorials/pcd_file_format.html.
KITTI: Geiger et al. 2013, https://www.cvlibs.net/datasets/kitti.
"""

import functools
import io
import os
import re
import warnings
from pathlib import PurePath

import numpy as np
from jaxtyping import Float32

from mmjax.data.media.arrays import MAGIC, decode_npy
from mmjax.data.media.source import Source, label, read_source
from mmjax.errors import UserError

BYTE_LIMIT = 200_000_000  # of a file
FIELD_LIMIT = 1000  # numbers of a point
_HEADER = 100_000  # bytes
_NAMES = {"char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4"}
_NAMES |= {"int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4"}
_NAMES |= {"uint32": "u4", "float": "f4", "float32": "f4", "double": "f8", "float64": "f8"}

Points = Float32[np.ndarray, "point feature"]


def open_points(
    source: Source, *, suffix: str | None = None, name: str | None = None, features: int = 4
) -> Points:
    """The points of a file: x, y, z and then its other numbers, in the order of the file.

    `.npy` files hold an array `[point, feature]`, `.bin` files float32 x, y, z, reflectance ...
    Of PLY files the element `vertex` is read, which must be the first and without lists. Of PCD
    files, packed colours become red, green and blue in 0..255, and points without a place (NaN),
    which stand for no echo, are left out.

    Args:
        source: a path, or the content of a file
        suffix: .npy, .bin, .ply or .pcd; None: the end of the path, or what the content begins with
        name: what errors call bytes
        features: numbers of a point in a .bin file

    Raises:
        FileNotFoundError: the file does not exist.
        UserError: damaged, of another format (binary_compressed PCD files are not read), or larger
            than `BYTE_LIMIT`.
    """
    called = label(source, name, "set of points")
    content = read_source(source, f"{called}: expected a file of points", BYTE_LIMIT)
    kind = (suffix or _suffix(source, content)).lower()
    expected = f"{called}: expected a {kind} file of points"
    if kind == ".npy":
        points = decode_npy(content, expected)
        if points.ndim != 2:
            raise UserError(f"{expected}, [point, feature], got an array {points.shape}")
        with np.errstate(over="ignore"):
            return points.astype(np.float32)
    readers = {".bin": functools.partial(_kitti, features=features), ".ply": _ply, ".pcd": _pcd}
    if kind not in readers:
        raise UserError(
            f"{called}: expected points; choose from .npy, {', '.join(readers)}, got {kind!r}"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # numbers that overflow in float32
            return readers[kind](content)
    except UserError as error:
        raise UserError(f"{expected}, got {error}") from None
    except Exception as error:  # headers and numbers are damaged in many ways
        raise UserError(f"{expected}, got a damaged one: {error!r:.300}") from error


def _suffix(source: Source, content: bytes) -> str:
    if not isinstance(source, bytes):
        return PurePath(os.fspath(source)).suffix
    if content.startswith(MAGIC):
        return ".npy"
    if re.match(rb"ply\r?\n", content):
        return ".ply"
    return ".pcd" if re.match(rb"#|VERSION", content) else ""


def _kitti(content: bytes, features: int) -> Points:
    if len(content) % (4 * features):
        raise UserError(f"{len(content):,} bytes, not {4 * features} a point")
    return np.frombuffer(content, "<f4").reshape(-1, features).astype(np.float32)


def _ply(content: bytes) -> Points:
    end = re.search(rb"\nend_header[ \t]*\r?\n", content[:_HEADER])
    lines = content[: end.start()].decode("ascii", "replace").splitlines() if end else []
    form, element, count, fields = "", None, 0, []
    if end is None or lines[0] != "ply":
        raise UserError("one without a header")
    for words in map(str.split, lines[1:]):
        if words[:1] == ["format"]:
            form = words[1]
        elif words[:1] == ["element"]:
            if element is None and words[1] != "vertex":
                raise UserError(f"{words[1]!r} before the vertices")
            element = words[1]
            count = int(words[2]) if element == "vertex" else count
        elif words[:1] == ["property"] and element == "vertex":
            if words[1] not in _NAMES:
                raise UserError(f"a vertex of {words[1]!r}; choose from {', '.join(_NAMES)}")
            fields.append((words[2], _NAMES[words[1]], 1))
    orders = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
    if form not in orders:
        raise UserError(f"the format {form!r}; choose from {', '.join(orders)}")
    table = _table(content[end.end() :], fields, count, orders[form])
    return _features(table)


def _pcd(content: bytes) -> Points:
    end = re.search(rb"^DATA[ \t]+(\w+)[ \t]*\r?\n", content[:_HEADER], re.MULTILINE)
    if end is None:
        raise UserError("one without a header")
    lines = content[: end.start()].decode("ascii", "replace").splitlines()
    header = {words[0]: words[1:] for words in map(str.split, lines) if words}
    form = end[1].decode("ascii")
    if form not in ("ascii", "binary"):
        raise UserError(f"the format {form!r}; choose from ascii, binary")
    names = header["FIELDS"]
    counts = map(int, header.get("COUNT") or ["1"] * len(names))
    kinds = [kind.lower() + size for kind, size in zip(header["TYPE"], header["SIZE"], strict=True)]
    count = int(header["POINTS"][0])
    fields = list(zip(names, kinds, counts, strict=True))
    table = _table(content[end.end() :], fields, count, "<" if form == "binary" else "")
    for name in ("rgb", "rgba"):
        if name in table:
            (packed,) = table.pop(name).T
            bits = packed.astype("f4").view("u4") if packed.dtype.kind == "f" else packed
            for channel, shift in (("red", 16), ("green", 8), ("blue", 0)):
                table[channel] = (bits.astype("u4") >> shift & 255)[:, None]
    points = _features({name: values for name, values in table.items() if name != "_"})
    return points[np.isfinite(points[:, :3]).all(axis=1)]


def _table(
    body: bytes, fields: list[tuple[str, str, int]], count: int, order: str
) -> dict[str, np.ndarray]:
    """{name: numbers [point, count]} of fields (name, type, count); an empty order: in ASCII."""
    names = [f"{name}:{i}" for i, (name, _, _) in enumerate(fields)]  # "_" may be there twice
    width = sum(number for _, _, number in fields)
    if not all(re.fullmatch(r"[iu][1248]|f[48]", kind) for _, kind, _ in fields):
        raise UserError(f"fields of unknown types: {fields!r:.200}")
    if not (0 < width <= FIELD_LIMIT and min(number for _, _, number in fields) > 0):
        raise UserError(f"{width} numbers a point, not 1 to {FIELD_LIMIT}")
    kind = np.dtype(
        [(name, order + kind, (n,)) for name, (_, kind, n) in zip(names, fields, strict=True)]
    )
    if not 0 <= count <= len(body):
        raise UserError(f"{count:,} points in {len(body):,} bytes")
    if order:
        if len(body) < count * kind.itemsize:
            raise UserError(f"{len(body):,} of {count * kind.itemsize:,} bytes")
        records = np.frombuffer(body, kind, count)
    elif count == 0:
        records = np.zeros(0, kind)
    else:
        text = io.StringIO(body.decode("ascii"))
        records = np.loadtxt(text, kind, comments=None, max_rows=count, ndmin=1)
        if len(records) < count:
            raise UserError(f"{len(records):,} of {count:,} points")
    return {field[0]: records[name] for name, field in zip(names, fields, strict=True)}


def _features(table: dict[str, np.ndarray]) -> Points:
    places = [table.pop(axis) for axis in "xyz" if axis in table]
    if len(places) < 3:
        raise UserError(f"no x, y and z among {list(table)!r:.200}")
    return np.concatenate([*places, *table.values()], axis=1, dtype=np.float32, casting="unsafe")
