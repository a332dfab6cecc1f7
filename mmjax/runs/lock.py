"""One training in a folder at a time."""

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
    """The kernel's lock on `<run>/.lock`: it ends with its process, however that ends.

    The file says who has it. A holder that left it without a word has died: the next says so.
    """

    def __init__(self, run: Path, say: Callable[[str], None]) -> None:
        self._run = run
        self._say = say
        self._file: TextIO | None = None
        self.token = secrets.token_hex(8)  # what another process of this run must find in the file

    def take(self) -> None:
        """Hold the lock of a folder that exists; does nothing where it is held already.

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
                    f"{self._run}: {_named(read(self._run))} trains here; wait for it, stop it, or "
                    "choose another --workdir"
                ) from None
            # As on some parallel file systems: no reason to train nowhere.
            self._say(
                f"{path}: this file system has no locks ({error.strerror}): nothing keeps a second "
                "training out of the folder"
            )
        if before := read(self._run):
            self._say(f"{_named(before)} ended without saying so: going on in its place")
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
    """What the holder of the lock wrote; empty where there is none, or nothing that can be read."""
    try:
        found = json.loads((run / LOCK).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _named(holder: dict[str, Any]) -> str:
    if not holder:
        return "another process"
    return "process {} on {} (since {})".format(*(holder.get(k) for k in ("pid", "host", "since")))
