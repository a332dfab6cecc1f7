"""A stream of AES-256-GCM chunks: STREAM, Hoang et al. 2015, eprint.iacr.org/2015/189.

    file  = magic, name of the key [8], wrapped file key [40], chunk 0, ..., chunk n - 1
    chunk = AES-256-GCM(file key, nonce = index [11], last [1], at most 1 MiB of content)

Each file has a random key of its own, so that no nonce is used twice; AES key wrap (RFC 3394)
encrypts it with the user's. A chunk that is changed, moved, left out, or comes from another file
has another nonce or key, and a file that is cut has no last chunk: none is decrypted.
"""

import os
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import keywrap
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mmjax.errors import UserError
from mmjax.io.encryption.keys import SIZE, Key

MAGIC = b"mmjax encrypted 1\n"
NAME = 8
WRAPPED = SIZE + 8
CHUNK = 2**20  # bytes of content
TAG = 16


class DecryptionError(UserError):
    """The key is another one, or the file was changed."""


class Writer:
    """Encrypts what is written to it; a file without `finish` is never decrypted."""

    def __init__(self, file: BinaryIO, key: Key) -> None:
        own = os.urandom(SIZE)
        file.write(MAGIC + key.name + keywrap.aes_key_wrap(key.wrapping, own))
        self._file, self._cipher = file, AESGCM(own)
        self._held, self._index = bytearray(), 0

    def write(self, content: bytes) -> int:
        """Encrypt all but the last chunk of what was written so far."""
        self._held += content
        while len(self._held) > CHUNK:
            self._emit(bytes(self._held[:CHUNK]), last=False)
            del self._held[:CHUNK]
        return len(content)

    def finish(self) -> None:
        """Write the last chunk."""
        self._emit(bytes(self._held), last=True)

    def _emit(self, content: bytes, *, last: bool) -> None:
        self._file.write(self._cipher.encrypt(_nonce(self._index, last), content, MAGIC))
        self._index += 1


class Reader:
    """Decrypts a file; returns no byte that was not authenticated.

    Raises:
        DecryptionError: as soon as a chunk is not what was written.
    """

    def __init__(self, file: BinaryIO, key: Key, where: str) -> None:
        own = unwrapped(file.read(len(MAGIC) + NAME + WRAPPED), key, where)
        self._file, self._where, self._cipher = file, where, AESGCM(own)
        self._held, self._index = b"", 0
        self._next = file.read(CHUNK + TAG)
        self._ended = False

    def read(self, size: int) -> bytes:
        """At most `size` bytes; none at the end of an intact file."""
        if not self._held and not self._ended:
            self._held = self._chunk()
        part, self._held = self._held[:size], self._held[size:]
        return part

    def require_end(self) -> None:
        """DecryptionError unless the rest of the file is authentic too, to its last chunk."""
        while self.read(CHUNK):
            pass

    def _chunk(self) -> bytes:
        sealed, self._next = self._next, self._file.read(CHUNK + TAG)
        self._ended = not self._next
        try:
            content = self._cipher.decrypt(_nonce(self._index, self._ended), sealed, MAGIC)
        except (InvalidTag, ValueError):
            raise DecryptionError(
                f"{self._where}: chunk {self._index} is not what was encrypted: the file was "
                "damaged, cut or changed; nothing was decrypted"
            ) from None
        self._index += 1
        return content


def unwrapped(header: bytes, key: Key, where: str) -> bytes:
    """The key of a file, from its header.

    Raises:
        DecryptionError: another key, a damaged header, or no encrypted file.
    """
    if not header.startswith(MAGIC) or len(header) < len(MAGIC) + NAME + WRAPPED:
        raise DecryptionError(f"{where}: expected a file of mmjax encrypt (format 1), got another")
    name, wrapped = header[len(MAGIC) : -WRAPPED], header[-WRAPPED:]
    try:
        return keywrap.aes_key_unwrap(key.wrapping, wrapped)
    except keywrap.InvalidUnwrap:
        if name != key.name:
            raise DecryptionError(
                f"{where}: wrong key: it was encrypted with key {name.hex()}, this is key "
                f"{key.name.hex()}"
            ) from None
        raise DecryptionError(f"{where}: its header was damaged or changed") from None


def rewrapped(header: bytes, old: Key, new: Key, where: str) -> bytes:
    """The header for another key."""
    return MAGIC + new.name + keywrap.aes_key_wrap(new.wrapping, unwrapped(header, old, where))


def _nonce(index: int, last: bool) -> bytes:
    return index.to_bytes(11, "big") + bytes([last])
