import h5py
import numpy as np
import pytest

from mmjax.io.tables import columns_of, read_rows
from mmjax.io.tables import hdf5 as reader


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.h5"


def refused(path, name, reason):
    with pytest.raises(ValueError, match=rf"a\.h5: .*no column '{name}'; no columns: .*{reason}"):
        next(read_rows(path, required=(name,)))


def test_row_i_is_entry_i_of_every_dataset_of_the_root(path, monkeypatch):
    monkeypatch.setattr(reader, "BATCH_ROWS", 2)
    pictures = np.arange(60, dtype=np.uint8).reshape(5, 3, 4)
    with h5py.File(path, "w") as file:
        file.create_dataset("picture", data=pictures, chunks=(3, 3, 4), compression="gzip")
        file["text"] = ["a", "größe", "", "d", "e"]
        file["fixed"] = np.array([b"a", b"b", b"c", b"d", b"\xff"])
        file["truth"] = np.array([True, False] * 2 + [True])
        file["half"] = np.arange(5, dtype=np.float16) / 2
        ragged = file.create_dataset("ragged", 5, h5py.vlen_dtype(np.int32))
        ragged[:] = [np.arange(length) for length in range(5)]
    assert set(columns_of(path)) == {"picture", "text", "fixed", "truth", "half", "ragged"}
    found = list(read_rows(path))
    assert [place for place, _ in found] == [1, 2, 3, 4, 5]
    for i, (_, row) in enumerate(found):
        np.testing.assert_array_equal(row.pop("picture"), pictures[i])
        assert row.pop("ragged").tolist() == list(range(i))
    assert found[1][1] == {"text": "größe", "fixed": "b", "truth": False, "half": 0.5}
    assert found[4][1] == {"text": "e", "fixed": b"\xff", "truth": True, "half": 2.0}


def test_nothing_outside_of_the_file_is_followed(path, tmp_path):
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["x"] = np.arange(3)
    (tmp_path / "secret.bin").write_bytes(bytes(24))
    with h5py.File(path, "w") as file:
        file["good"] = np.arange(3)
        file["link"] = h5py.ExternalLink(str(secret), "x")
        file["soft"] = h5py.SoftLink("/good")
        layout = h5py.VirtualLayout((3,), "i8")
        layout[:] = h5py.VirtualSource(str(secret), "x", (3,))
        file.create_virtual_dataset("virtual", layout)
        file.create_dataset("raw", (3,), "i8", external=[(str(tmp_path / "secret.bin"), 0, 24)])
    assert list(read_rows(path)) == [(1, {"good": 0}), (2, {"good": 1}), (3, {"good": 2})]
    refused(path, "link", "link: expected a dataset, got a link")
    refused(path, "soft", "soft: expected a dataset, got a link")
    refused(path, "virtual", "virtual: expected its content in the file itself")
    refused(path, "raw", "raw: expected its content in the file itself")


def test_what_is_no_column_is_named_with_its_reason(path):
    with h5py.File(path, "w") as file:
        file["x"] = np.arange(3)
        file["short"] = np.arange(2)
        file["scalar"], file["word"] = 3, "a"
        file.create_group("group")
        file.create_dataset("endless", (10**12,), "f4", chunks=(1000,))
        file.create_dataset("chunk", (2**26,), "f4", chunks=(2**26,))[0] = 1
        file["record"] = np.zeros(3, [("a", "f4")])
    assert columns_of(path) == ["x"]
    refused(path, "short", "short: 2 rows")
    refused(path, "scalar", "scalar: expected an array with a first axis")
    refused(path, "word", "word: expected an array with a first axis")
    refused(path, "group", "group: expected a dataset, got a group")
    refused(path, "endless", "endless: expected content, got a dataset that was never written")
    refused(path, "chunk", "chunk: expected chunks of at most 200,000,000 bytes")
    refused(path, "record", "record: expected numbers, texts or dates")


@pytest.mark.parametrize("options", [{}, {"compression": 1}, {"compression": 1, "shuffle": True}])
def test_texts_in_chunks_compressed_or_not(path, options):
    with h5py.File(path, "w") as file:
        texts = file.create_dataset("text", (5,), h5py.string_dtype(), chunks=(2,), **options)
        texts[:] = ["a", "größe", "", "d", "e" * 300]
        file["empty"] = [""] * 5
        file.create_dataset("odd", (5,), h5py.string_dtype(), chunks=(2,), compression="lzf")[:] = (
            "a"
        )
    assert [row["text"] for _, row in read_rows(path)] == ["a", "größe", "", "d", "e" * 300]
    refused(path, "odd", "odd: expected variable lengths uncompressed, or by gzip")


@pytest.mark.parametrize("chunks", [None, (2,)])
def test_a_length_that_lies_is_refused_before_memory_is_asked_for(path, chunks):
    with h5py.File(path, "w") as file:
        ragged = file.create_dataset("x", (2,), h5py.vlen_dtype(np.int32), chunks=chunks)
        ragged[:] = [np.arange(4), np.arange(77)]
    content = path.read_bytes()
    place = content.index(b"\x4d\0\0\0")
    path.write_bytes(content[:place] + b"\xff\xff\xff\xff" + content[place + 4 :])
    with pytest.raises(ValueError, match=r"x: expected 17,179,869,196 bytes of values, got a smal"):
        next(read_rows(path))


def test_a_heap_whose_free_space_is_empty_is_refused_and_not_followed_for_ever(path):
    with h5py.File(path, "w") as file:
        file["x"] = ["a", "größe"]
    content = bytearray(path.read_bytes())
    place = content.index(b"GCOL") + 16
    while (number := int.from_bytes(content[place : place + 2], "little")) != 0:
        assert number < 9
        place += 16 + -(-int.from_bytes(content[place + 8 : place + 16], "little") // 8) * 8
    content[place + 8 : place + 16] = bytes(8)
    path.write_bytes(content)
    with pytest.raises(ValueError, match="x: expected values in a heap, got a damaged one"):
        next(read_rows(path))


def test_another_file_is_refused_by_name(path):
    for content in (b"", b"a,b\n"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"a\.h5: expected an HDF5 file, got another"):
            next(read_rows(path))
    with h5py.File(path, "w"):
        pass
    with pytest.raises(ValueError, match=r"a\.h5: expected datasets with rows in the root"):
        next(read_rows(path))
