"""Keys for encryption: 32 random bytes as 64 hexadecimal digits, in a file or a variable."""

import os
import secrets
import stat
from pathlib import Path
from typing import NamedTuple

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from mmjax.errors import UserError
from mmjax.io import safe_open

VARIABLE = "MMJAX_KEY"
SIZE = 32  # bytes
_PURPOSE = b"mmjax encryption 1"


class Key(NamedTuple):
    """A key, as it is used."""

    wrapping: bytes  # encrypts the key of each file
    name: bytes  # 8 bytes that tell keys apart, and nothing about them


def key_of(file: Path | None, *, flag: str = "--key", environment: bool = True) -> Key:
    """The key in `file`, or with `environment` in the variable MMJAX_KEY.

    Raises:
        UserError: neither or both are given, the content is no key, or others may read the file.
    """
    written = os.environ.get(VARIABLE) if environment else None
    if (file is None) == (written is None):
        got = "both" if file else "neither"
        raise UserError(f"expected a key in --key FILE or in the variable {VARIABLE}, got {got}")
    if file is None:
        return _parsed(written or "", f"the variable {VARIABLE}")
    if os.name == "posix" and file.exists() and stat.S_IMODE(file.stat().st_mode) & 0o077:
        raise UserError(f"{flag} {file}: others than you may read it; run: chmod 600 {file}")
    content = safe_open.read_file(file, f"{flag} {file}: expected a file with a key", 1000)
    return _parsed(content.decode("ascii", "replace"), f"{flag} {file}")


def create(file: Path) -> None:
    """Write a new random key to a file that did not exist, for its owner alone."""
    try:
        made = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise UserError(
            f"--new-key {file}: this file is there already; nothing was changed"
        ) from None
    with os.fdopen(made, "w") as opened:
        opened.write(secrets.token_hex(SIZE) + "\n")
        opened.flush()
        os.fsync(opened.fileno())


def _parsed(text: str, where: str) -> Key:
    try:
        master = bytes.fromhex(text)
    except ValueError:
        master = b""
    if len(master) != SIZE or len(set(master)) < 8:
        # The text itself must not be shown.
        raise UserError(
            f"{where}: expected {2 * SIZE} random hexadecimal digits; "
            "mmjax encrypt --new-key FILE makes such a file"
        )
    whole = HKDF(SHA256(), length=SIZE + 8, salt=None, info=_PURPOSE).derive(master)
    return Key(whole[:SIZE], whole[SIZE:])
