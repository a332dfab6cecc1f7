"""A watchdog: ends a process that waits for the others for too long."""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Iterator


class Watchdog:
    """Ends the process when a `waiting` context lasts longer than `timeout` seconds."""

    def __init__(self, timeout: float | None) -> None:
        self._timeout = timeout
        self._waiting: tuple[float, str] | None = None
        self._closed = threading.Event()

    def __enter__(self) -> "Watchdog":
        if self._timeout is not None:
            threading.Thread(target=self._watch, name="watchdog", daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._closed.set()

    @contextlib.contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """A context with the time limit; `what` is named in the error."""
        self._waiting = (time.monotonic(), what)
        try:
            yield
        finally:
            self._waiting = None

    def _watch(self) -> None:
        limit = self._timeout or 0.0
        while not self._closed.wait(min(1.0, limit / 4)):
            waiting = self._waiting
            if waiting and time.monotonic() - waiting[0] > limit:
                print(
                    f"error: waited {limit:.0f} s (--timeout) for {waiting[1]}: another process "
                    "hangs, has ended, was not started, or is much slower. Ending; run the same "
                    "command in every process again to go on",
                    file=sys.stderr,
                    flush=True,
                )
                os._exit(1)
