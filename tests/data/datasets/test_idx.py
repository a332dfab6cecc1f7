import gzip
import hashlib
import struct

import numpy as np
import pytest

from mmjax.data.datasets.idx import read_idx

_ARRAY = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)


def _idx(array, magic=None):
    head = struct.pack(">I", 0x0800 + array.ndim if magic is None else magic)
    return head + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def _written(tmp_path, content, cut=None):
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(content)[:cut])
    return path


@pytest.mark.parametrize("array", [_ARRAY, _ARRAY.ravel(), np.zeros((0, 5), np.uint8)])
def test_an_array_comes_back_in_its_shape(tmp_path, array):
    np.testing.assert_array_equal(read_idx(_written(tmp_path, _idx(array))), array)


def test_the_checksum_is_that_of_the_content_however_it_was_compressed(tmp_path):
    sha256 = hashlib.sha256(_idx(_ARRAY)).hexdigest()
    for level in (0, 9):
        path = tmp_path / "images.gz"
        path.write_bytes(gzip.compress(_idx(_ARRAY), level))
        np.testing.assert_array_equal(read_idx(path, sha256=sha256), _ARRAY)


def test_other_content_than_expected_is_refused_by_name(tmp_path):
    path = _written(tmp_path, _idx(_ARRAY))
    with pytest.raises(ValueError, match=r"images\.gz: expected content with the sha256 0000"):
        read_idx(path, sha256="0" * 64)


@pytest.mark.parametrize("magic", [0x0D03, 0x01000803, 0xFFFFFFFF])
def test_a_wrong_magic_number_is_refused(tmp_path, magic):
    path = _written(tmp_path, _idx(_ARRAY, magic))
    with pytest.raises(ValueError, match=rf"images\.gz: expected .* magic .*, got {magic:08x}"):
        read_idx(path)


@pytest.mark.parametrize(
    ("length", "message"),
    [
        (0, "got nothing"),
        (3, "magic number 000008.., got 000008"),
        (10, "expected 3 axis lengths, got a file cut short"),
        (-1, "expected 24 bytes for the shape .*, got 23"),
    ],
)
def test_content_cut_short_is_refused(tmp_path, length, message):
    path = _written(tmp_path, _idx(_ARRAY)[:length])
    with pytest.raises(ValueError, match=rf"images\.gz: .*{message}"):
        read_idx(path)


@pytest.mark.parametrize("cut", [15, -20, -4])
def test_a_gzip_file_cut_short_is_refused(tmp_path, cut):
    with pytest.raises(ValueError, match=r"images\.gz: expected whole gzip data"):
        read_idx(_written(tmp_path, _idx(_ARRAY), cut))


def test_a_damaged_gzip_file_is_refused(tmp_path):
    path = _written(tmp_path, _idx(np.random.default_rng(0).integers(0, 9, 5000, dtype=np.uint8)))
    content = bytearray(path.read_bytes())
    for position in range(11, len(content), 97):
        damaged = content.copy()
        damaged[position] ^= 0x55
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"images\.gz: expected"):
            read_idx(path)


def test_surplus_bytes_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"expected 24 bytes for the shape .*, got more"):
        read_idx(_written(tmp_path, _idx(_ARRAY) + b"!"))


def test_a_file_that_is_not_gzip_is_refused(tmp_path):
    path = tmp_path / "plain"
    path.write_bytes(_idx(_ARRAY))
    with pytest.raises(ValueError, match="plain: expected a gzip file"):
        read_idx(path)


def test_a_header_that_claims_more_than_there_is_takes_no_memory(tmp_path):
    content = struct.pack(">I4I", 0x0804, *[0xFFFFFFFF] * 4) + b"1234"
    with pytest.raises(ValueError, match=r"at most 600,000,000 bytes, got the shape"):
        read_idx(_written(tmp_path, content))


def test_axes_that_no_array_has_are_refused(tmp_path):
    content = bytes([0, 0, 8, 9]) + struct.pack(">9I", *[1] * 9) + b"1"
    with pytest.raises(ValueError, match=r"images\.gz: expected at most 8 axes, got 9"):
        read_idx(_written(tmp_path, content))
    content = bytes([0, 0, 8, 2]) + struct.pack(">2I", 0, 2**32 - 1)
    with pytest.raises(ValueError, match=r"images\.gz: expected at most 600,000,000 bytes, got"):
        read_idx(_written(tmp_path, content))


def test_an_empty_axis_beside_huge_ones_is_refused_by_name(tmp_path):
    """Found by fuzzing: 0 bytes, and more than NumPy can count."""
    content = bytes([0, 0, 8, 4]) + np.array([0, 2**31, 2**31, 2**31], ">u4").tobytes()
    with pytest.raises(ValueError, match=r"images\.gz: expected at most .* bytes, got the shape"):
        read_idx(_written(tmp_path, content))
