"""Work in several processes, each on cores of its own: a small model keeps no two cores busy."""

import concurrent.futures
import contextlib
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import jax

T = TypeVar("T")
MOST = 8  # processes by default: each holds the data and the compiler in its memory


def cores() -> list[int]:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def at_once(
    work: Callable[[Any], T], jobs: Sequence[Any], processes: int | None = None
) -> Iterator[T]:
    """work(job) for each job, in the order in which they are done; of one process, in its order.

    Args:
        work: a function of a module
        jobs: what it is called with
        processes: each has an equal share of the cores, and what it prints is dropped, since of two
            it could not be told apart; by default one for each core, at most 8, or this process
            alone where JAX has an accelerator or there is one job
    """
    if processes is None:
        on_cpu = len(jobs) > 1 and jax.default_backend() == "cpu"
        processes = min(len(cores()), len(jobs), MOST) if on_cpu else 1
    if processes == 1:
        yield from map(work, jobs)
        return
    spawn = multiprocessing.get_context("spawn")  # a fork would copy JAX's threads
    shares = spawn.Queue()
    for number in range(processes):
        shares.put(cores()[number::processes])
    with concurrent.futures.ProcessPoolExecutor(
        processes, mp_context=spawn, initializer=_begin, initargs=(shares,)
    ) as pool:
        try:
            for done in concurrent.futures.as_completed([pool.submit(work, job) for job in jobs]):
                yield done.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _begin(shares: Any) -> None:
    """In a process, before it asks JAX for devices."""
    share = shares.get()
    if share and hasattr(os, "sched_setaffinity"):
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, share)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
