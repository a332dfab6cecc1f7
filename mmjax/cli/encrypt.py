"""`mmjax encrypt` and `mmjax decrypt`: runs, models and prepared data as encrypted files."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import tyro

from mmjax.errors import MissingPackageError, UserError

Out = Annotated[Path | None, tyro.conf.arg(aliases=["-o"])]
KeyFile = Annotated[Path | None, tyro.conf.arg(help="the file of the key; else MMJAX_KEY")]


def encrypt(
    source: Annotated[
        Path | None, tyro.conf.Positional, tyro.conf.arg(help="a file or folder, such as a run")
    ] = None,
    /,
    out: Out = None,
    key: KeyFile = None,
    new_key: Path | None = None,
    rekey: Path | None = None,
) -> None:
    """Encrypt a file or a folder as one file: AES-256-GCM in authenticated chunks.

    The original stays where it is. A key is made by mmjax encrypt --new-key FILE; it is read from
    --key FILE, or from the variable MMJAX_KEY. Without the key nothing can be recovered.

    Args:
        out: the encrypted file; must not exist
        new_key: write a new random key to this file, and do nothing else
        rekey: the source is encrypted already: exchange its key for the one in this file
    """
    with package():
        from mmjax.io.encryption import keys, sealed
    if new_key is not None:
        if source or out or key or rekey:
            raise UserError("--new-key: goes with nothing else")
        keys.create(new_key)
        print(f"{new_key}: a new key; keep a copy where the encrypted files are not")
        return
    if source is None or (out is None) == (rekey is None):
        raise UserError("expected what to encrypt, and either -o FILE or --rekey KEY")
    require_outside(source, key, rekey)
    if rekey is not None:
        new = keys.key_of(rekey, environment=False)
        sealed.rekey(source, keys.key_of(key), new)
        print(f"{source}: has another key now; who has an old copy and the old key still reads it")
    elif out is not None:
        size = sealed.encrypt(source, out, keys.key_of(key))
        print(f"{out}: {size:,} bytes; {source} is still there, unencrypted")


def decrypt(
    source: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(help="a file of mmjax encrypt")],
    /,
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])],
    key: KeyFile = None,
) -> None:
    """Decrypt a file of mmjax encrypt, if all of it is what was encrypted; else nothing is left.

    Args:
        out: the file or folder to write; must not exist
    """
    with package():
        from mmjax.io.encryption import keys, sealed
    sealed.decrypt(source, out, keys.key_of(key))
    print(f"{out}: decrypted")


def require_outside(source: Path, *key_files: Path | None) -> None:
    """UserError for a key within what it encrypts."""
    for file in key_files:
        if file is not None and file.resolve().is_relative_to(source.resolve()):
            raise UserError(f"{file}: the key lies within {source}; keep it elsewhere")


@contextlib.contextmanager
def package() -> Iterator[None]:
    """MissingPackageError where what encrypts is not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            f"mmjax encrypt needs an extra: pip install 'mmjax[encrypt]' ({error.name} is missing)"
        ) from None
