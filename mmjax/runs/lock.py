"""A lock on a run's folder: one training at a time."""

import contextlib
import errno
import fcntl
import json
import os
import secrets
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from mmjax.errors import UserError
from mmjax.runs.folder import LOCK


class Lock:
    """The operating system's lock on `<run>/.lock`: it ends with its process, even after SIGKILL.

    The file names the process that holds the lock. A holder that ends normally empties the file.
    """

    def __init__(self, run: Path, say: Callable[[str], None]) -> None:
        self._run = run
        self._say = say
        self._file: TextIO | None = None
        self.token = secrets.token_hex(8)  # other processes of this training look for it

    def take(self) -> None:
        """Lock an existing folder; does nothing where this object holds the lock already.

        Raises:
            UserError: another process trains here; names it and its host.
        """
        if self._file is not None:
            return
        path = self._run / LOCK
        file = path.open("a+", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                file.close()
                raise UserError(
                    f"{self._run}: {_text(read(self._run))} trains here; wait for it, stop it, or "
                    "choose another --workdir"
                ) from None
            # Some parallel file systems have no locks: train without one.
            self._say(
                f"{path}: this file system has no locks ({error.strerror}): nothing keeps a second "
                "training out of the folder"
            )
        if before := read(self._run):
            self._say(f"{_text(before)} ended without saying so: going on in its place")
        file.truncate(0)
        me = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.strftime("%F %T")}
        json.dump(me | {"token": self.token}, file)
        file.flush()
        self._file = file

    def __enter__(self) -> "Lock":
        return self

    def __exit__(self, *error: object) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):  # the disk may be gone
                self._file.truncate(0)
                self._file.close()
            self._file = None


def read(run: Path) -> dict[str, Any]:
    """What the holder of the lock wrote; empty if there is no holder, or nothing readable."""
    try:
        content = json.loads((run / LOCK).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _text(holder: dict[str, Any]) -> str:
    if not holder:
        return "another process"
    return "process {} on {} (since {})".format(*(holder.get(k) for k in ("pid", "host", "since")))
