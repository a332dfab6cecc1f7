import gzip
import io
import json
import tarfile
import tracemalloc

import pytest

from mmjax.io.tables import RowError, columns_of, read_rows, tar_shard


def tar(path, files, change=None, **options):
    """An archive of {name: content}; `change` is done to the headers."""
    with tarfile.open(
        path, "w:gz" if path.suffix in (".gz", ".tgz") else "w", **options
    ) as archive:
        for name, content in files:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            if name.endswith("/"):
                member.type = tarfile.DIRTYPE
            if change:
                change(member)
            archive.addfile(member, io.BytesIO(content))
    return path


def rows(path):
    return [
        (place, row.reason if isinstance(row, RowError) else row) for place, row in read_rows(path)
    ]


EXAMPLES = [
    ("./", b""),
    ("a/000.jpg", b"\xff\xd8"),
    ("a/000.TXT", "größe\r\n".encode()),
    ("a/._000.jpg", b"resource fork"),
    ("a/000.json", json.dumps({"age": 3, "txt": "not this"}).encode()),
    ("a/000.left.jpg", b"\xff"),
    ("b/000.cls", b"7\n"),
    ("b/000.json", b"[1, 2]"),
    ("001.json", b"0.5"),
]


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.tgz"])
@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_files_of_one_key_are_an_example(tmp_path, name, form):
    path = tar(tmp_path / name, EXAMPLES, format=form)
    columns = ["age", "txt", "jpg", "json", "left.jpg", "cls"]
    assert sorted(columns_of(path)) == sorted(columns)
    empty = dict.fromkeys(columns)
    assert rows(path) == [
        (
            "a/000",
            empty
            | {"jpg": b"\xff\xd8", "txt": "größe", "age": 3, "left.jpg": b"\xff"}
            | {"json": {"age": 3, "txt": "not this"}},
        ),
        ("b/000", empty | {"cls": "7", "json": [1, 2]}),
        ("001", empty | {"json": 0.5}),
    ]


def test_long_names_and_several_shards_are_read(tmp_path):
    long = "x" * 300
    for number in range(3):
        tar(tmp_path / f"a-{number:02d}.tar", [(f"{long}/{number}.txt", b"1")])
    found = rows(tmp_path / "a-{00..02}.tar")
    assert found[2] == (f"a-02.tar:{long}/2", {"txt": "1"})


def _set(**fields):
    def change(member):
        if member.name == "1.jpg":
            for key, value in fields.items():
                setattr(member, key, value)

    return change


@pytest.mark.parametrize(
    ("files", "change", "reason"),
    [
        ([("1.jpg", b"")], _set(type=tarfile.SYMTYPE, linkname="/etc/passwd"), "got a link"),
        ([("1.jpg", b"")], _set(type=tarfile.LNKTYPE, linkname="0.jpg"), "got a link, a device"),
        ([("1.jpg", b"")], _set(type=tarfile.CHRTYPE), "got a link, a device"),
        ([("/1.jpg", b"")], None, "/1.jpg: expected a path in the archive"),
        ([("../1.jpg", b"")], None, "../1.jpg: expected a path in the archive"),
        ([("a/../1.jpg", b"")], None, "expected a path in the archive"),
        ([("1", b"")], None, "1: expected a name with an extension"),
        ([("1.json", b"{")], None, ".json: expected JSON"),
        ([("1.json", b"NaN")], None, ".json: expected JSON, which has no NaN"),
        ([("1.txt", b"\xff")], None, ".txt: 'utf-8' codec can't decode"),
        ([("1.jpg", b""), ("1.JPG", b"")], None, "expected each extension once, got 'jpg' twice"),
        ([("1.jpg", b"12345")], None, "expected at most 4 bytes, got 5"),
        ([("1.a", b"123"), ("1.b", b"123")], None, "expected at most 5 bytes for one example"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_an_example_is_said_and_the_next_is_read(
    tmp_path, files, change, reason, monkeypatch
):
    monkeypatch.setattr(tar_shard, "CELL_BYTES", 4)
    monkeypatch.setattr(tar_shard, "EXAMPLE_BYTES", 5)
    path = tar(tmp_path / "a.tar", [("0.jpg", b"1"), *files, ("2.jpg", b"2")], change)
    first, (place, said), last = rows(path)
    assert first == ("0", {"jpg": b"1"}) and last == ("2", {"jpg": b"2"})
    assert reason in said and place in ("1", "/1", "../1", "a/../1")


def test_what_is_cut_short_or_damaged_is_never_taken_for_the_end(tmp_path):
    path = tar(tmp_path / "a.tar", [(f"{i}.jpg", b"1" * 600) for i in range(4)])
    content = path.read_bytes()
    for size in (0, 100, 512, 600, 1536, 1600, 2 * 1536, 4 * 1536):
        path.write_bytes(content[:size])
        with pytest.raises(ValueError, match=r"a\.tar: "):
            list(read_rows(path))
    path.write_bytes(content[: 2 * 1536] + b"x" + content[2 * 1536 + 1 :])
    with pytest.raises(ValueError, match=r"a\.tar: .*damaged"):
        list(read_rows(path))


@pytest.mark.parametrize("name", ["a.jpg", ".a.jpg", "/a.jpg", "a"])
def test_a_file_that_is_larger_than_its_archive_is_not_looked_for(tmp_path, name):
    member = tarfile.TarInfo(name)
    member.size = 10**12
    (tmp_path / "a.tar").write_bytes(member.tobuf() + bytes(10240))
    with pytest.raises(ValueError, match=r"a\.tar: .*a.*: expected at most 10,240 bytes"):
        list(read_rows(tmp_path / "a.tar"))


def test_a_damaged_byte_of_a_compressed_shard_is_found(tmp_path):
    path = tar(tmp_path / "a.tgz", [("0.jpg", bytes(range(256)) * 40)])
    content = bytearray(path.read_bytes())
    content[-6] ^= 1  # of the checksum
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.tgz: .*CRC"):
        list(read_rows(path))


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.REGTYPE])
def test_a_small_shard_does_not_unpack_to_a_large_one(tmp_path, kind, monkeypatch):
    monkeypatch.setattr(tar_shard, "CELL_BYTES", 1_000_000)
    member = tarfile.TarInfo("a.jpg")
    member.type, member.size = kind, 50_000_000
    bomb = gzip.compress(member.tobuf() + bytes(50_000_000))
    (tmp_path / "a.tgz").write_bytes(bomb)
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"a\.tgz: "):
        list(read_rows(tmp_path / "a.tgz"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3_000_000
