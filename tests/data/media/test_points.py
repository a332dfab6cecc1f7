import io
import struct

import numpy as np
import pytest

from mmjax.data.media import points
from mmjax.data.media.points import open_points

_POINTS = np.random.default_rng(0).normal(size=(7, 4)).astype("<f4")


def _npy(values):
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


def _text(values):
    return "".join(" ".join(map(repr, map(float, row))) + "\n" for row in values).encode()


def _ply(form, body, properties=("float x", "float y", "float z", "float w"), count=7, after=""):
    head = f"ply\nformat {form} 1.0\ncomment by hand\nelement vertex {count}\n"
    head += "".join(f"property {line}\n" for line in properties)
    return f"{head}{after}end_header\n".encode() + body


def _pcd(form, body, fields="x y z w", sizes="4 4 4 4", types="F F F F", counts=None, count=7):
    head = f"# .PCD v0.7\nVERSION 0.7\nFIELDS {fields}\nSIZE {sizes}\nTYPE {types}\n"
    head += f"COUNT {counts}\n" if counts else ""
    head += f"WIDTH {count}\nHEIGHT 1\nVIEWPOINT 0 0 0 1 0 0 0\nPOINTS {count}\nDATA {form}\n"
    return head.encode() + body


_RAW = _POINTS.tobytes()
_FILES = {
    "a.npy": _npy(_POINTS),
    "b.npy": _npy(np.asfortranarray(_POINTS.astype(np.float32))),
    "a.bin": _RAW,
    "a.ply": _ply("ascii", _text(_POINTS)),
    "b.ply": _ply("binary_little_endian", _RAW),
    "c.ply": _ply("binary_big_endian", _POINTS.astype(">f4").tobytes()),
    "d.PLY": _ply(
        "binary_little_endian",
        _RAW + b"\3" + bytes(12),
        after="element face 1\nproperty list uchar int vertex_indices\n",
    ),
    "e.ply": _ply("ascii", _text(_POINTS)).replace(b"\n", b"\r\n"),
    "a.pcd": _pcd("ascii", _text(_POINTS)),
    "b.pcd": _pcd("binary", _RAW),
    "c.pcd": _pcd("binary", _RAW, counts="1 1 1 1").replace(b"\n", b"\r\n", 8),
}


@pytest.mark.parametrize("name", _FILES)
def test_every_format_gives_the_same_points(tmp_path, name):
    (tmp_path / name).write_bytes(_FILES[name])
    found = open_points(tmp_path / name)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, _POINTS)
    np.testing.assert_array_equal(open_points(_FILES[name], suffix=name[1:]), _POINTS)
    if name != "a.bin":
        np.testing.assert_array_equal(open_points(_FILES[name]), _POINTS)


@pytest.mark.parametrize("name", _FILES)
def test_a_file_cut_short_is_named(name):
    content = _FILES[name]
    end = len(content) - (13 if name == "d.PLY" else 0)
    ascii = b"ascii" in content  # where the last number may be shorter
    for length in (end // 3, end - 45, end - (45 if ascii else 5)):
        with pytest.raises(ValueError, match=r"^b: expected a \.\w+ file of points, got"):
            open_points(content[:length], suffix=name[1:], name="b")


def test_places_stand_first_and_other_numbers_follow():
    kind = np.dtype([("red", "u1"), ("z", "<f8"), ("y", "<i2"), ("x", "<f4")])
    rows = np.array([(255, 3.5, -2, 1.25), (0, 0, 0, 0)], kind)
    properties = ("uchar red", "double z", "short y", "float x")
    found = open_points(_ply("binary_little_endian", rows.tobytes(), properties, 2))
    np.testing.assert_array_equal(found, [[1.25, -2, 3.5, 255], [0, 0, 0, 0]])
    body = b"255 3.5 -2 1.25\n0 0 0 0\n"
    np.testing.assert_array_equal(open_points(_ply("ascii", body, properties, 2)), found)


@pytest.mark.parametrize("kind", ["F", "U"])
def test_packed_colours_are_three_numbers(kind):
    (packed,) = struct.unpack("<f" if kind == "F" else "<I", bytes([30, 20, 10, 0]))
    body = struct.pack("<fff" + ("f" if kind == "F" else "I"), 1, 2, 3, packed)
    file = _pcd("binary", body, "x y z rgb", types=f"F F F {kind}", count=1)
    np.testing.assert_array_equal(open_points(file), [[1, 2, 3, 10, 20, 30]])
    file = _pcd(
        "ascii", f"1 2 3 {packed!r}\n".encode(), "x y z rgb", types=f"F F F {kind}", count=1
    )
    np.testing.assert_array_equal(open_points(file), [[1, 2, 3, 10, 20, 30]])


def test_padding_is_left_out_and_histograms_are_kept():
    kind = np.dtype([("x", "<f4", 3), ("_", "u1", 4), ("n", "<f4", 2), ("__", "u1", 1)])
    rows = np.zeros(2, kind)
    rows["x"], rows["n"] = [[1, 2, 3], [4, 5, 6]], [[7, 8], [9, 10]]
    options = {"sizes": "4 4 4 1 4 1", "types": "F F F U F U", "counts": "1 1 1 4 2 1"}
    file = _pcd("binary", rows.tobytes(), "x y z _ n _", **options, count=2)
    np.testing.assert_array_equal(open_points(file), [[1, 2, 3, 7, 8], [4, 5, 6, 9, 10]])


def test_points_without_an_echo_are_left_out():
    body = _text([[1, 2, 3, 4], [np.nan, np.nan, np.nan, 0], [5, 6, 7, 8]])
    found = open_points(_pcd("ascii", body, count=3))
    np.testing.assert_array_equal(found, [[1, 2, 3, 4], [5, 6, 7, 8]])


def test_no_points_are_points():
    assert open_points(b"", suffix=".bin").shape == (0, 4)
    for form in ("ascii", "binary_little_endian"):
        assert open_points(_ply(form, b"", count=0)).shape == (0, 4)


@pytest.mark.parametrize(
    ("content", "suffix", "message"),
    [
        (b"", ".las", r"choose from .npy, .bin, .ply, .pcd, got '.las'"),
        (_RAW, None, "got ''"),
        (_RAW[:-1], ".bin", "111 bytes, not 16 a point"),
        (_npy(np.zeros(3)), None, r"\[point, feature\], got an array \(3,\)"),
        (_npy(np.array([{}])), None, "another or a damaged one"),
        (_npy(np.zeros((2, 3))).replace(b"(2, 3)", b"(9, 3)"), None, "<?float64|f8"),
        (_pcd("binary_compressed", _RAW), None, "'binary_compressed'; choose from ascii, binary"),
        (
            _ply("binary", _RAW),
            None,
            "the format 'binary'; choose from ascii, binary_little_endian",
        ),
        (_ply("ascii", b"", ["list uchar int x"]), None, "a vertex of 'list'"),
        (_ply("ascii", b"1 2\n", ["float x", "float y"], 1), None, "no x, y and z"),
        (_ply("ascii", b"", count=-1), None, "-1 points in 0 bytes"),
        (_ply("ascii", b"1 2 3\n" * 7), None, "got a damaged one"),
        (_ply("ascii", b"1 2 3 4 5\n" * 7), None, "got a damaged one"),
        (_ply("ascii", b"1 2 3 x\n" * 7), None, "got a damaged one"),
        (_ply("binary_little_endian", _RAW, count=10**12), None, "points in 112 bytes"),
        (_pcd("binary", _RAW, counts="1 1 1 999999999"), None, "numbers a point, not 1 to 1000"),
        (_pcd("binary", _RAW, types="F F F V"), None, "fields of unknown types"),
        (
            b"ply\nformat ascii 1.0\nelement face 3\nend_header\n",
            None,
            "'face' before the vertices",
        ),
        (b"ply\n" + b"x" * 10**6, None, "without a header"),
    ],
)
def test_what_is_no_set_of_points_is_named(content, suffix, message):
    with pytest.raises(ValueError, match=rf"^b: expected .*{message}"):
        open_points(content, suffix=suffix, name="b")


def test_a_large_file_is_refused_before_it_is_parsed(tmp_path, monkeypatch):
    monkeypatch.setattr(points, "BYTE_LIMIT", 100)
    (tmp_path / "a.bin").write_bytes(_RAW)
    with pytest.raises(ValueError, match=r"a\.bin: .* at most 100 bytes"):
        open_points(tmp_path / "a.bin")
    with pytest.raises(FileNotFoundError, match=r"b\.bin"):
        open_points(tmp_path / "b.bin")
