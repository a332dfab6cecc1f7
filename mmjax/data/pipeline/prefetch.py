"""Batches computed ahead of their use, in a thread or in worker processes."""

import atexit
import contextlib
import multiprocessing
import os
import signal
import threading
import weakref
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from typing import Any, TypeVar

from mmjax.errors import StorageError

T = TypeVar("T")
AHEAD = 4  # batches, and one more for each worker

_live: weakref.WeakSet[Generator] = weakref.WeakSet()


def prefetch(
    make: Callable[[int], T], steps: Iterable[int], workers: int = 0
) -> Generator[T, None, None]:
    """make(step) for each step, in order, computed by a thread or by `workers` processes.

    `make` is pickled once for each process; batches return through a pipe. Thread and processes end
    when the generator is closed.

    Raises:
        StorageError: a worker died.
    """
    batches = _prefetched(make, steps, workers)
    _live.add(batches)
    return batches


@atexit.register
def _close() -> None:
    """Close the generators that are still open before Python takes down its executors."""
    for batches in list(_live):
        with contextlib.suppress(ValueError):  # it is running in a thread
            batches.close()


def _prefetched(
    make: Callable[[int], T], steps: Iterable[int], workers: int
) -> Generator[T, None, None]:
    pending: deque[Future[T]] = deque()
    executor, call = _executor(make, workers)
    try:
        for step in steps:
            pending.append(executor.submit(call, step))
            if len(pending) > AHEAD + workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    except BrokenProcessPool as error:
        raise StorageError(
            "a data worker died, perhaps for want of memory; try fewer --workers (0: a thread)"
        ) from error
    finally:
        executor.shutdown(wait=workers == 0, cancel_futures=True)


def _executor(make: Callable[[int], T], workers: int) -> tuple[Executor, Callable[[int], T]]:
    if not workers:
        # One thread, because the work holds Python's lock most of the time.
        return ThreadPoolExecutor(max_workers=1, thread_name_prefix="batches"), make
    return worker_processes(workers, make), _made


def worker_processes(workers: int, make: Callable[[int], Any] | None = None) -> Executor:
    """Processes that ignore Ctrl-C and end with this one."""
    # Spawned, because a fork would copy JAX's threads in an undefined state.
    return ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _begin, (make,))


_make: Callable[[int], Any]  # of a worker process


def _begin(make: Callable[[int], Any] | None) -> None:
    """In a worker: ignore Ctrl-C, which reaches all processes, and end with the parent."""
    global _make
    if make is not None:
        _make = make
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    with contextlib.suppress(OSError):
        wait([parent.sentinel] if parent is not None else [])
    os._exit(1)


def _made(step: int) -> Any:
    return _make(step)
