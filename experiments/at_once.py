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
        processes: each has an equal share of the cores, or one thread where there are fewer cores.
            What it prints is dropped, since of two it could not be told apart. By default one for
            each core, or for each job if they are few, at most 8; this process alone where JAX has
            an accelerator or there is one job
    """
    if processes is None:
        on_cpu = len(jobs) > 1 and jax.default_backend() == "cpu"
        # Three jobs on two cores: at once they take 1.5 times as long as one, in turns 2 times.
        most = len(jobs) if len(jobs) < 2 * len(cores()) else len(cores())
        processes = min(most, MOST) if on_cpu else 1
    if processes == 1:
        yield from map(work, jobs)
        return
    spawn = multiprocessing.get_context("spawn")  # a fork would copy JAX's threads
    shares = spawn.Queue()
    for number in range(processes):
        shares.put(cores()[number::processes] if processes <= len(cores()) else [])
    with concurrent.futures.ProcessPoolExecutor(
        processes, mp_context=spawn, initializer=_begin, initargs=(shares,)
    ) as pool:
        try:
            for done in concurrent.futures.as_completed([pool.submit(work, job) for job in jobs]):
                yield done.result()
        finally:
            pool.shutdown(cancel_futures=True)  # after an error the others that run come to an end


def _begin(shares: Any) -> None:
    """In a process, before it asks JAX for devices."""
    share = shares.get()
    if not share:
        flags = os.environ.get("XLA_FLAGS", "")
        os.environ["XLA_FLAGS"] = f"{flags} --xla_cpu_multi_thread_eigen=false"
    elif hasattr(os, "sched_setaffinity"):
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, share)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
