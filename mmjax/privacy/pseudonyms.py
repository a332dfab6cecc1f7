"""Keyed pseudonyms: HMAC-SHA256, RFC 2104, https://www.rfc-editor.org/rfc/rfc2104."""

import hashlib
import hmac
import unicodedata
from pathlib import Path

from mmjax.errors import MissingPackageError

_PURPOSE = b"mmjax pseudonyms 1"


class Pseudonyms:
    """The same value under the same name and key always has the same pseudonym, in any table.

    Without the key a pseudonym can neither be reversed nor be found by trying all values.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = hmac.digest(secret, _PURPOSE, hashlib.sha256)

    def __call__(self, name: str, value: str | bytes) -> str:
        """32 hexadecimal digits of a value of the column `name`."""
        return self._digest(name, value).hex()

    def uid(self, value: str) -> str:
        """A DICOM UID that replaces another, of the form 2.25.<128 bits> (PS3.5, B.2)."""
        return f"2.25.{int.from_bytes(self._digest('uid', value), 'big')}"

    def _digest(self, name: str, value: str | bytes) -> bytes:
        if isinstance(value, str):
            value = unicodedata.normalize("NFC", value.strip()).encode()
        label = name.encode()
        message = len(label).to_bytes(4, "big") + label + value
        return hmac.digest(self._secret, message, hashlib.sha256)[:16]


def pseudonyms(key: Path | None) -> Pseudonyms:
    """The pseudonyms of a key as made by `mmjax encrypt --new-key`; of MMJAX_KEY without a file.

    Raises:
        MissingPackageError: cryptography is not installed.
        UserError: there is no key, or others may read the file.
    """
    try:
        from mmjax.io.encryption import keys
    except ModuleNotFoundError:
        raise MissingPackageError(
            "mmjax anonymise needs an extra: pip install 'mmjax[anonymise]' "
            "(cryptography is missing)"
        ) from None
    return Pseudonyms(keys.key_of(key).wrapping)
