"""Safe opening of files that other people made."""

import io
import os
import stat

from mmjax.errors import MissingFileError, UserError


def open_file(path: str | os.PathLike[str], expected: str) -> io.BufferedReader:
    """Open a regular file for reading; errors begin with `expected`.

    Raises:
        MissingFileError: the file does not exist.
        UserError: it is a folder, a device or a pipe, from which reading might never return.
    """
    try:
        regular = stat.S_ISREG(os.stat(path).st_mode)
    except FileNotFoundError:
        raise MissingFileError(f"{expected}, got no file at all") from None
    except ValueError as error:  # a NUL byte in the name
        raise UserError(f"{expected}, got a name that no file has: {error}") from error
    if not regular:
        raise UserError(f"{expected}, got a folder or another thing that is no file")
    return open(path, "rb")


def read_file(path: str | os.PathLike[str], expected: str, limit: int) -> bytes:
    """Read a file of at most `limit` bytes; errors as in `open_file`."""
    with open_file(path, expected) as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise UserError(f"{expected} of at most {limit:,} bytes, got a larger one")
    return content
