"""Files and folders as one encrypted file: a tar archive in a stream of encrypted chunks.

Names, sizes and times of files are encrypted too. Everything is written under another name first: a
command that fails leaves nothing, and one that is killed leaves `.draft-*` beside its result.
"""

import contextlib
import fcntl
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from mmjax.errors import UserError
from mmjax.io import safe_open
from mmjax.io.encryption import stream
from mmjax.io.encryption.keys import Key

TOP = "content"  # what the file or folder is called in the archive


def encrypt(source: Path, out: Path, key: Key) -> int:
    """Encrypt a file or a folder; returns the size of the result in bytes.

    Raises:
        UserError: `out` is there already or within `source`, or `source` holds a link, a pipe or
            another thing that is neither file nor folder.
    """
    _require_new(out, "-o")
    if not source.exists():
        raise UserError(f"{source}: expected a file or folder, got none")
    if out.resolve().is_relative_to(source.resolve()):
        raise UserError(f"-o {out}: expected a place outside of {source}, which is encrypted")
    with _draft(out) as file:
        writer = stream.Writer(file, key)
        with tarfile.open(fileobj=writer, mode="w|", format=tarfile.PAX_FORMAT) as archive:  # type: ignore[reportArgumentType]
            archive.add(source, TOP, filter=_plain(source))
        writer.finish()
    return out.stat().st_size


def decrypt(source: Path, out: Path, key: Key) -> None:
    """Write the file or folder that was encrypted to a new place, if all of it is authentic.

    Raises:
        DecryptionError: a wrong key, or a file that was damaged or changed. Nothing is left.
        UserError: `out` is there already.
    """
    _require_new(out, "-o")
    out.parent.mkdir(parents=True, exist_ok=True)
    with (
        safe_open.open_file(source, f"{source}: expected a file of mmjax encrypt") as file,
        tempfile.TemporaryDirectory(prefix=".draft-", dir=out.parent) as draft,
    ):
        reader = stream.Reader(file, key, str(source))
        try:
            with tarfile.open(fileobj=reader, mode="r|") as archive:  # type: ignore[reportArgumentType]
                archive.extractall(draft, filter="data")
        except tarfile.TarError as error:
            raise UserError(f"{source}: holds another kind of archive: {error}") from error
        reader.require_end()
        (Path(draft) / TOP).rename(out)


def place_of(folder: Path) -> Path:
    """Where `at_rest` keeps a folder while it is not used: `<folder>.enc` beside it."""
    return folder.with_name(f"{folder.name}.enc")


@contextlib.contextmanager
def at_rest(folder: Path, key: Key) -> Iterator[None]:
    """A folder that is there while it is used; before and after that only `<folder>.enc` is.

    Where both are there, a process was killed: the folder is what it wrote, and is used. If it
    cannot be encrypted in the end, it stays.

    Raises:
        DecryptionError: a wrong key, or a file that was damaged or changed.
        UserError: another process uses the folder in this way.
    """
    file = place_of(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with file.with_name(f".lock-{file.name}").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"{folder}: another process uses it now, encrypted at rest") from None
        with _used(folder, file, key):
            yield


@contextlib.contextmanager
def _used(folder: Path, file: Path, key: Key) -> Iterator[None]:
    """`at_rest`, where no other process does the same."""
    gone = folder.with_name(f".gone-{folder.name}")
    if gone.exists():  # of a process that was killed while it deleted what it had encrypted
        shutil.rmtree(gone)
    if file.exists():
        with safe_open.open_file(file, f"{file}: expected a file of mmjax encrypt") as opened:
            stream.Reader(opened, key, str(file))
        if not folder.exists():
            decrypt(file, folder, key)
    try:
        yield
    finally:
        if folder.exists():
            new = file.with_name(f".new-{file.name}")
            new.unlink(missing_ok=True)  # of a process that was killed
            encrypt(folder, new, key)
            new.replace(file)
            # Under its name the folder is whole or not there: else half of it would be encrypted.
            folder.rename(gone)
            shutil.rmtree(gone)


def rekey(source: Path, old: Key, new: Key) -> None:
    """Encrypt the key of a file with another key; the content stays as it is.

    Raises:
        DecryptionError: a wrong key.
    """
    with safe_open.open_file(source, f"{source}: expected a file of mmjax encrypt") as file:
        header = file.read(len(stream.MAGIC) + stream.NAME + stream.WRAPPED)
        wrapped = stream.rewrapped(header, old, new, str(source))
        with _draft(source) as draft:
            draft.write(wrapped)
            shutil.copyfileobj(file, draft, stream.CHUNK)


def _require_new(out: Path, flag: str) -> None:
    if out.exists() or out.is_symlink():
        raise UserError(f"{flag} {out}: this name is taken; nothing was changed")


@contextlib.contextmanager
def _draft(out: Path) -> Iterator[BinaryIO]:
    """A file that gets its name when it is whole and on the disk."""
    out.parent.mkdir(parents=True, exist_ok=True)
    draft = out.with_name(f".draft-{out.name}")
    try:
        with draft.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        draft.replace(out)
    finally:
        draft.unlink(missing_ok=True)


def _plain(source: Path):
    """A filter of tar that keeps files and folders, without the names of users and groups."""

    def kept(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        if not (entry.isreg() or entry.isdir()):
            name = source / Path(entry.name).relative_to(TOP)
            raise UserError(f"{name}: is a link or no file; put a copy in its place")
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = ""
        return entry

    return kept
