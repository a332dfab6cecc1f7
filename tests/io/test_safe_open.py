import os

import pytest

from mmjax.io.safe_open import open_file, read_file


def test_a_file_is_read_up_to_its_limit(tmp_path):
    (tmp_path / "a").write_bytes(b"1234")
    assert read_file(tmp_path / "a", "a: expected b", 4) == b"1234"
    with pytest.raises(ValueError, match="a: expected b of at most 3 bytes, got a larger one"):
        read_file(tmp_path / "a", "a: expected b", 3)


def test_what_is_no_file_is_refused_without_waiting_for_it(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path):
        with pytest.raises(ValueError, match="a: expected b, got a folder or another thing"):
            open_file(path, "a: expected b")
    with pytest.raises(FileNotFoundError, match="a: expected b, got no file at all"):
        open_file(tmp_path / "none", "a: expected b")
    with pytest.raises(ValueError, match="a: expected b, got a name that no file has"):
        open_file("nul\0", "a: expected b")
