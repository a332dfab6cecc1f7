"""Encrypted folders: back bit for bit, and never when anything was changed."""

import os
import random
import shutil
from pathlib import Path

import pytest

from mmjax.errors import UserError
from mmjax.io.encryption import keys, sealed, stream
from tests.cli.command import mmjax

DAMAGED = 200


@pytest.fixture
def folder(tmp_path):
    """A folder with an empty file, an empty folder and a file of several chunks."""
    made = tmp_path / "run"
    (made / "checkpoints" / "empty").mkdir(parents=True)
    (made / "config.json").write_text("{}")
    (made / "none").write_bytes(b"")
    (made / "checkpoints" / "values").write_bytes(random.Random(0).randbytes(5000))
    return made


def key(tmp_path, name="key"):
    keys.create(tmp_path / name)
    return keys.key_of(tmp_path / name)


def contents(folder):
    return {
        path.relative_to(folder): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


@pytest.mark.parametrize("chunk", [64, stream.CHUNK])
def test_a_folder_and_a_file_come_back_bit_for_bit(folder, tmp_path, monkeypatch, chunk):
    monkeypatch.setattr(stream, "CHUNK", chunk)
    own = key(tmp_path)
    sealed.encrypt(folder, tmp_path / "run.enc", own)
    sealed.decrypt(tmp_path / "run.enc", tmp_path / "back", own)
    assert contents(tmp_path / "back") == contents(folder)
    sealed.encrypt(folder / "config.json", tmp_path / "file.enc", own)
    sealed.decrypt(tmp_path / "file.enc", tmp_path / "config.json", own)
    assert (tmp_path / "config.json").read_text() == "{}"
    assert b"config" not in (tmp_path / "run.enc").read_bytes()


def damage(content, draws, other):
    """The content with one damage; `other` was encrypted with the same key."""
    body = len(stream.MAGIC) + stream.NAME + stream.WRAPPED
    size = stream.CHUNK + stream.TAG
    pieces = [content[i : i + size] for i in range(body, len(content), size)]
    place = draws.randrange(len(content))
    match draws.randrange(7):
        case 0 | 1:
            changed = bytes([content[place] ^ 1 << draws.randrange(8)])
            return content[:place] + changed + content[place + 1 :]
        case 2:
            return content[:place]
        case 3:  # cut at the end of a chunk
            return content[: body + size * draws.randrange(len(pieces))]
        case 4:
            a, b = draws.sample(range(len(pieces) - 1), 2)
            pieces[a], pieces[b] = pieces[b], pieces[a]
        case 5:
            pieces.insert(draws.randrange(len(pieces)), draws.choice(pieces[:-1]))
        case 6:  # the same chunk of another file
            a = draws.randrange(len(pieces))
            pieces[a] = other[body + a * size :][:size]
    return content[:body] + b"".join(pieces)


def test_200_damaged_copies_are_never_decrypted(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(stream, "CHUNK", 256)
    own, draws = key(tmp_path), random.Random(0)
    for name in ("run.enc", "other.enc"):
        sealed.encrypt(folder, tmp_path / name, own)
    content, other = ((tmp_path / name).read_bytes() for name in ("run.enc", "other.enc"))
    where = tmp_path / "there"
    where.mkdir()
    for _ in range(DAMAGED):
        damaged = damage(content, draws, other)
        assert damaged != content
        (tmp_path / "damaged.enc").write_bytes(damaged)
        with pytest.raises(stream.DecryptionError):
            sealed.decrypt(tmp_path / "damaged.enc", where / "out", own)
        assert not list(where.iterdir())
    (tmp_path / "damaged.enc").write_bytes(content + b"\0")
    with pytest.raises(stream.DecryptionError):
        sealed.decrypt(tmp_path / "damaged.enc", where / "out", own)


def test_no_two_chunks_share_key_and_nonce(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(stream, "CHUNK", 64)
    used = []

    class Recorder:
        def __init__(self, own):
            self.own, self.real = own, real(own)

        def encrypt(self, nonce, content, bound):
            used.append((self.own, nonce))
            return self.real.encrypt(nonce, content, bound)

    real, own = stream.AESGCM, key(tmp_path)
    monkeypatch.setattr(stream, "AESGCM", Recorder)
    for name in ("a.enc", "b.enc"):
        sealed.encrypt(folder, tmp_path / name, own)
    assert len(used) > 200 and len({k for k, _ in used}) == 2
    assert len(set(used)) == len(used)


def test_a_wrong_key_is_told_from_a_damaged_header(folder, tmp_path):
    own, other = key(tmp_path), key(tmp_path, "other")
    sealed.encrypt(folder, tmp_path / "run.enc", own)
    with pytest.raises(stream.DecryptionError, match=f"wrong key: .* {own.name.hex()}"):
        sealed.decrypt(tmp_path / "run.enc", tmp_path / "out", other)
    content = bytearray((tmp_path / "run.enc").read_bytes())
    content[len(stream.MAGIC) + stream.NAME] ^= 1
    (tmp_path / "run.enc").write_bytes(content)
    with pytest.raises(stream.DecryptionError, match="header was damaged"):
        sealed.decrypt(tmp_path / "run.enc", tmp_path / "out", own)
    assert not (tmp_path / "out").exists()


def test_a_file_gets_another_key_without_a_change_of_its_content(folder, tmp_path):
    old, new = key(tmp_path), key(tmp_path, "new")
    sealed.encrypt(folder, tmp_path / "run.enc", old)
    with pytest.raises(stream.DecryptionError, match="wrong key"):
        sealed.rekey(tmp_path / "run.enc", new, old)
    sealed.rekey(tmp_path / "run.enc", old, new)
    with pytest.raises(stream.DecryptionError, match="wrong key"):
        sealed.decrypt(tmp_path / "run.enc", tmp_path / "out", old)
    sealed.decrypt(tmp_path / "run.enc", tmp_path / "out", new)
    assert contents(tmp_path / "out") == contents(folder)


def test_links_and_pipes_are_refused_and_nothing_is_left(folder, tmp_path):
    own = key(tmp_path)
    (folder / "link").symlink_to("/etc/passwd")
    with pytest.raises(UserError, match=r"run/link: is a link"):
        sealed.encrypt(folder, tmp_path / "run.enc", own)
    (folder / "link").unlink()
    os.mkfifo(folder / "pipe")
    with pytest.raises(UserError, match=r"run/pipe: is a link or no file"):
        sealed.encrypt(folder, tmp_path / "run.enc", own)
    assert {path.name for path in tmp_path.iterdir()} == {"run", "key"}


def test_an_interrupted_encryption_leaves_no_file(folder, tmp_path, monkeypatch):
    own = key(tmp_path)

    def interrupted(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(stream.Writer, "finish", interrupted)
    with pytest.raises(KeyboardInterrupt):
        sealed.encrypt(folder, tmp_path / "run.enc", own)
    assert {path.name for path in tmp_path.iterdir()} == {"run", "key"}


@pytest.mark.parametrize("text", ["", "00" * 31, "00" * 32, "g" * 64, "ab" * 32, "12" * 33])
def test_what_is_no_key_is_refused_without_showing_it(tmp_path, monkeypatch, text):
    monkeypatch.setenv(keys.VARIABLE, text)
    with pytest.raises(UserError, match="expected 64 random hexadecimal digits") as error:
        keys.key_of(None)
    assert not text or text not in str(error.value)


def test_a_key_comes_from_exactly_one_place_that_others_cannot_read(tmp_path, monkeypatch):
    monkeypatch.delenv(keys.VARIABLE, raising=False)
    with pytest.raises(UserError, match="got neither"):
        keys.key_of(None)
    own = key(tmp_path)
    monkeypatch.setenv(keys.VARIABLE, (tmp_path / "key").read_text())
    assert keys.key_of(None) == own
    with pytest.raises(UserError, match="got both"):
        keys.key_of(tmp_path / "key")
    monkeypatch.delenv(keys.VARIABLE)
    (tmp_path / "key").chmod(0o640)
    with pytest.raises(UserError, match="others than you may read it"):
        keys.key_of(tmp_path / "key")
    with pytest.raises(UserError, match="already"):
        keys.create(tmp_path / "key")


def test_the_commands_fail_closed(folder, tmp_path):
    run = {"cwd": tmp_path}
    assert "a new key" in mmjax("encrypt", "--new-key", "k", **run)
    assert "still there, unencrypted" in mmjax("encrypt", "run", "-o", "e", "--key", "k", **run)
    assert "this name is taken" in mmjax("encrypt", "run", "-o", "e", "--key", "k", code=1, **run)
    assert "this name is taken" in mmjax("decrypt", "e", "-o", "run", "--key", "k", code=1, **run)
    shutil.copy(tmp_path / "k", folder / "k")
    inside = ("encrypt", "run", "-o", "f", "--key", "run/k")
    assert "the key lies within run" in mmjax(*inside, code=1, **run)
    assert "outside of run" in mmjax("encrypt", "run", "-o", "run/e", "--key", "k", code=1, **run)
    assert not (tmp_path / "f").exists()
    (folder / "k").unlink()
    mmjax("decrypt", "e", "-o", "back", "--key", "k", **run)
    assert contents(tmp_path / "back") == contents(folder)


def test_a_folder_at_rest_is_only_there_while_it_is_used(folder, tmp_path, monkeypatch):
    before, own = contents(folder), key(tmp_path)
    file = sealed.place_of(folder)
    with sealed.at_rest(folder, own):
        (folder / "more").write_text("1")
    assert not folder.exists() and b"more" not in file.read_bytes()
    with pytest.raises(UserError, match="wrong key"), sealed.at_rest(folder, key(tmp_path, "k")):
        raise AssertionError
    with pytest.raises(ValueError, match="a bug"), sealed.at_rest(folder, own):
        assert contents(folder) == before | {Path("more"): b"1"}
        (folder / "more").write_text("2")
        raise ValueError("a bug")
    assert not folder.exists()
    # A process that is killed while it deletes the folder leaves nothing that counts.
    real = shutil.rmtree

    def killed(path, *rest, **options):
        if not Path(path).name.endswith("run"):
            return real(path, *rest, **options)
        (Path(path) / "more").unlink()
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt), sealed.at_rest(folder, own):
            pass
    with sealed.at_rest(folder, own):
        assert (folder / "more").read_text() == "2"
    assert not list(tmp_path.glob("*run"))
    # A process that is killed leaves the folder; what it wrote counts.
    sealed.decrypt(file, folder, own)
    (folder / "more").write_text("3")
    with sealed.at_rest(folder, own):
        assert (folder / "more").read_text() == "3"
        with pytest.raises(UserError, match="another process uses it"), sealed.at_rest(folder, own):
            raise AssertionError
        assert (folder / "more").exists()
    sealed.decrypt(file, folder, own)
    (folder / "link").symlink_to("more")  # cannot be encrypted: nothing is lost
    with pytest.raises(UserError, match="is a link"), sealed.at_rest(folder, own):
        pass
    assert (folder / "more").read_text() == "3" and file.exists()
    assert not list(tmp_path.glob(".new-*"))
