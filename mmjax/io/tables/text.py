"""Opening text files that other people wrote, in the encoding that they have."""

import codecs
import io
import os

from mmjax.errors import UserError
from mmjax.io.safe_open import open_file

UNDECODABLE = "\udcff"
"""Stands for bytes that are not in the encoding: an error of their row only."""


def _mark(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return UNDECODABLE, error.end


codecs.register_error("mmjax-mark", _mark)


def open_text(path: str | os.PathLike[str], encoding: str, expected: str) -> io.TextIOWrapper:
    """Open a text file; line ends are kept, and undecodable bytes become `UNDECODABLE`.

    A byte-order mark of UTF-8 or UTF-16 takes precedence over `encoding`, and is removed.

    Raises:
        MissingFileError: the file does not exist.
        UserError: it is no file, or nobody knows the encoding.
    """
    binary = open_file(path, f"{path}: expected {expected}")
    try:
        head = binary.peek(3)[:3]
        if head == codecs.BOM_UTF8:
            encoding = "utf-8-sig"
        elif head[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            encoding = "utf-16"
        return io.TextIOWrapper(binary, encoding, "mmjax-mark", newline="")
    except (LookupError, ValueError) as error:
        binary.close()
        raise UserError(
            f"{path}: expected the name of an encoding, such as utf-8, utf-16, cp1252 or latin-1, "
            f"got {encoding!r}"
        ) from error
    except BaseException:
        binary.close()
        raise


def flaw(text: str, encoding: str) -> str | None:
    """What is wrong with a decoded text, if anything."""
    if "\0" in text:
        return "expected text, got a NUL byte; is it UTF-16, or no text at all?"
    if UNDECODABLE in text:
        name = encoding.upper()
        return f"expected {name}, got bytes that are not; is its encoding another, such as cp1252?"
    return None
