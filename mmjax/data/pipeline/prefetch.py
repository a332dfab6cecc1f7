"""Batches computed ahead of their use, in a thread or in worker processes."""

import atexit
import contextlib
import itertools
import multiprocessing
import multiprocessing.util
import os
import shutil
import signal
import threading
import weakref
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from typing import Any, TypeVar

from mmjax.data.pipeline import parcels
from mmjax.errors import StorageError

T = TypeVar("T")
AHEAD = 4  # batches, and one more for each worker

_live: weakref.WeakSet[Generator] = weakref.WeakSet()


def prefetch(
    make: Callable[[int], T], steps: Iterable[int], workers: int = 0, threads: int = 1
) -> Generator[T, None, None]:
    """make(step) for each step, in order, computed by threads or, if any, by worker processes.

    The threads are this process's own, or are shared out to the workers, at least one to each.
    `make` is pickled once for each process; the arrays of batches return in shared memory. Threads
    and processes end when the generator is closed.

    Raises:
        StorageError: a worker died.
    """
    batches = _prefetched(make, steps, workers, threads)
    _live.add(batches)
    return batches


@atexit.register
def _close() -> None:
    """Close the generators that are still open before Python takes down its executors."""
    for batches in list(_live):
        with contextlib.suppress(ValueError):  # it is running in a thread
            batches.close()


def _prefetched(
    make: Callable[[int], T], steps: Iterable[int], workers: int, threads: int
) -> Generator[T, None, None]:
    pending: deque[Future[list[T]]] = deque()
    place = parcels.folder() if workers else None
    several = max(1, threads // workers) if workers else 1  # that a worker makes at once
    executor, call = _executor(make, workers, threads if not workers else several, place)
    left = iter(steps)
    try:
        while some := list(itertools.islice(left, several)):
            pending.append(executor.submit(call, some))
            if len(pending) * several > AHEAD + (workers * several or threads - 1):
                yield from map(parcels.unpack, pending.popleft().result())
        while pending:
            yield from map(parcels.unpack, pending.popleft().result())
    except BrokenProcessPool as error:
        raise StorageError(
            "a data worker died, perhaps for want of memory; try fewer --workers (0: a thread)"
        ) from error
    finally:
        executor.shutdown(wait=workers == 0, cancel_futures=True)
        if place is not None:
            shutil.rmtree(place, ignore_errors=True)


def _executor(
    make: Callable[[int], T], workers: int, threads: int, place: str | None
) -> tuple[Executor, Callable[[list[int]], list[T]]]:
    """The executor, of threads or of workers with threads, and what makes the batches of steps."""
    if place is None:
        executor = ThreadPoolExecutor(threads, thread_name_prefix="batches")
        return executor, lambda steps: list(map(make, steps))
    return worker_processes(workers, make, place, threads), _made


def worker_processes(
    workers: int,
    make: Callable[[int], Any] | None = None,
    place: str | None = None,
    threads: int = 1,
) -> Executor:
    """Processes that ignore Ctrl-C and end with this one; `place`: the folder of parcels."""
    # Spawned, because a fork would copy JAX's threads in an undefined state.
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, context, _begin, (make, place, threads))


_make: Callable[[int], Any]  # of a worker process
_place: str
_threads: ThreadPoolExecutor


def _begin(make: Callable[[int], Any] | None, place: str | None, threads: int) -> None:
    """In a worker: ignore Ctrl-C, which reaches all processes, and end with the parent."""
    global _make, _place, _threads
    if make is not None and place is not None:
        _make, _place, _threads = make, place, ThreadPoolExecutor(threads)
    if place is not None:  # what is written while the parent deletes the folder
        multiprocessing.util.Finalize(None, shutil.rmtree, (place, True), exitpriority=0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, args=(place,), daemon=True).start()


def _end_with_parent(place: str | None) -> None:
    parent = multiprocessing.parent_process()
    with contextlib.suppress(OSError):
        wait([parent.sentinel] if parent is not None else [])
    if place is not None:
        shutil.rmtree(place, ignore_errors=True)
    os._exit(1)


def _made(steps: list[int]) -> list[Any]:
    return list(_threads.map(lambda step: parcels.pack(_make(step), _place), steps))
