"""Ctrl-C and SIGTERM: finish the step, save, say how to go on."""

import signal
from types import FrameType


class Interrupted(Exception):
    """A run was asked to stop and has saved where it was; `signal` is the signal's number."""

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.signal = number


class Stop:
    """Within this context the first signal only sets `signal`; a second Ctrl-C stops at once."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self._before: dict[int, object] = {}

    def __enter__(self) -> "Stop":
        for number in (signal.SIGINT, signal.SIGTERM):
            try:
                self._before[number] = signal.signal(number, self._handle)
            except ValueError:  # not in the main thread: whoever started us stops us
                break
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None:
            raise KeyboardInterrupt
        self.signal = number
