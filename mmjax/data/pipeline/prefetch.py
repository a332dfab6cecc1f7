"""Batches made ahead of their use: in a thread, or in processes of their own."""

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

T = TypeVar("T")  # a batch, or what stands for one
AHEAD = 4  # batches, and as many more as there are workers


_live: weakref.WeakSet[Generator] = weakref.WeakSet()


def prefetch(
    make: Callable[[int], T], steps: Iterable[int], workers: int = 0
) -> Generator[T, None, None]:
    """make(step) for each step, in order. What computes them ends when the generator is closed.

    With `workers` processes `make` is pickled once for each; a batch travels back through a pipe.

    Raises:
        StorageError: a worker died.
    """
    batches = _prefetched(make, steps, workers)
    _live.add(batches)
    return batches


@atexit.register
def _close() -> None:
    """Generators that are still open would fail when Python has taken down what they close with."""
    for batches in list(_live):
        with contextlib.suppress(ValueError):  # it is running, in a thread
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
        # One thread: the work holds Python's lock for most of its time.
        return ThreadPoolExecutor(max_workers=1, thread_name_prefix="batches"), make
    # Spawned: a fork would copy JAX's threads in the middle of whatever they do.
    spawn = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, spawn, _begin, (make,)), _made


_make: Callable[[int], Any]  # of a worker process


def _begin(make: Callable[[int], Any]) -> None:
    """In a worker: no Ctrl-C may end it, and it must not outlive its parent."""
    global _make
    _make = make
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C reaches all processes of a terminal
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    with contextlib.suppress(OSError):
        wait([parent.sentinel] if parent is not None else [])
    os._exit(1)


def _made(step: int) -> Any:
    return _make(step)
