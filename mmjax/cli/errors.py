"""How a command ends: an error that a user can mend is one line, any other keeps its traceback."""

import contextlib
import os
import sys
from collections.abc import Iterator

from mmjax.errors import UserError


@contextlib.contextmanager
def shown() -> Iterator[None]:
    """Ends the process with exit code 1 for a UserError, and quietly where nobody reads on."""
    try:
        with quiet_pipe():
            yield
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)


@contextlib.contextmanager
def quiet_pipe() -> Iterator[None]:
    """Ends the process without a traceback where the reader of its output has gone, as `head`."""
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # Python would try to write what is left once more when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)  # 128 + SIGPIPE
