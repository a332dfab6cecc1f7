"""Ctrl-C and SIGTERM: finish the step, save, and exit."""

import os
import signal
from types import FrameType

import jax
from jax.experimental import multihost_utils


class Interrupted(Exception):
    """A signal stopped the run after its state was saved; `signal` is the signal's number."""

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.signal = number


class Stop:
    """A context in which the first signal is only noted; a second Ctrl-C stops at once.

    Several processes all stop after the same step: JAX's preemption service, which handles
    SIGTERM, agrees on it; a Ctrl-C in one process is passed on as SIGTERM.
    """

    def __init__(self) -> None:
        self._signal: int | None = None
        self._before: dict[int, object] = {}

    def asked(self, step: int) -> int | None:
        """The signal that asks to stop after this step, or None."""
        if jax.process_count() == 1:
            return self._signal
        reached = multihost_utils.reached_preemption_sync_point(step)
        return (self._signal or signal.SIGTERM) if reached else None

    def __enter__(self) -> "Stop":
        caught = [signal.SIGINT] if jax.process_count() > 1 else [signal.SIGINT, signal.SIGTERM]
        for number in caught:
            try:
                self._before[number] = signal.signal(number, self._handle)
            except ValueError:  # not in the main thread: the caller handles signals
                break
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._signal is not None:
            if number == signal.SIGINT:
                raise KeyboardInterrupt
            return  # some programs send SIGTERM to a process and to its group
        self._signal = number
        if jax.process_count() > 1:
            os.kill(os.getpid(), signal.SIGTERM)
