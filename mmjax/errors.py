"""Errors that a user can mend. Commands show them as one line; all others keep their traceback."""

import contextlib
from collections.abc import Iterator


class UserError(ValueError):
    """The configuration, the data or a file is wrong; the message says what was expected."""


class MissingFileError(UserError, FileNotFoundError):
    """A file or folder that should be there is not."""


class MissingPackageError(UserError, ModuleNotFoundError):
    """An optional package is not installed; the message says what to install."""


class StorageError(UserError, OSError):
    """A file, a disk or another process cannot be reached."""


class OutOfMemoryError(UserError, MemoryError):
    """A device's memory does not hold what it was given."""


class DisconnectedError(UserError, ConnectionError):
    """Another process of the same training has ended, or a network address does not answer."""


@contextlib.contextmanager
def errors_name(what: str) -> Iterator[None]:
    """A context that puts `what` before the text of a ValueError, which becomes a UserError."""
    try:
        yield
    except ValueError as error:
        raise UserError(f"{what}: {error}") from None
