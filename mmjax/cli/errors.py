"""How commands end: a UserError prints one line, any other error its traceback."""

import contextlib
import os
import sys
from collections.abc import Iterator

from mmjax.errors import UserError


@contextlib.contextmanager
def shown() -> Iterator[None]:
    """A context that ends the process with one line and exit code 1 after a UserError."""
    try:
        with quiet_pipe():
            yield
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)


@contextlib.contextmanager
def quiet_pipe() -> Iterator[None]:
    """A context that ends the process quietly if its output is closed, as by `head`."""
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # Python would flush the rest of the output again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)  # 128 + SIGPIPE
