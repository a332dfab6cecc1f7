"""Several processes that train together: start, communication and exit.

When a process fails, JAX lets the others wait for ever. Here a process that fails exits at once,
which ends the collectives of the others with an error; one that waits too long exits too.
"""

import itertools
import os
import pickle
import sys
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Any, NoReturn, TypeVar

import jax
import numpy as np
from jax._src import distributed
from jax.experimental import multihost_utils

from mmjax.config.processes import Processes
from mmjax.devices import cpu
from mmjax.devices.failure import disconnected, first_line
from mmjax.devices.watchdog import Watchdog
from mmjax.errors import DisconnectedError, UserError

T = TypeVar("T")
_DAY = 24 * 60 * 60 * 1000  # milliseconds
HEARTBEAT = 10  # seconds without a heartbeat after which a process counts as dead


def start(processes: Processes) -> None:
    """Connect to the other processes; call it before anything touches a device.

    A process that waits for the others longer than the timeout exits with an error.

    Raises:
        DisconnectedError: the coordinator cannot be reached.
    """
    if not processes.distributed:
        return
    cpu.one_host_device()
    where = processes.coordinator or "the address that JAX detected"
    # JAX's own timeout aborts the process with a C++ stack trace: ours ends earlier.
    try:
        with (
            Watchdog(float(processes.timeout)) as watchdog,
            watchdog.waiting(f"the others at {where}"),
        ):
            jax.distributed.initialize(
                processes.coordinator,
                processes.num_processes,
                processes.process_id,
                initialization_timeout=2 * processes.timeout + HEARTBEAT,
                heartbeat_timeout_seconds=HEARTBEAT,
                shutdown_timeout_seconds=HEARTBEAT,
            )
    except (RuntimeError, ValueError) as error:  # a port in use; nothing detected
        raise DisconnectedError(
            f"--distributed: cannot meet at {where}: {first_line(error)}"
        ) from error
    sys.excepthook = _leave_with_traceback


def require_one_folder(token: str, read: Callable[[], str | None]) -> None:
    """UserError if a process does not see the lock file of process 0, with its `token`."""
    expected = gathered(token)[0]
    if jax.process_count() > 1 and jax.process_index() and read() != expected:
        raise UserError(
            f"process {jax.process_index()} does not see the folder that process 0 writes to: "
            "--workdir must be on a file system that all share"
        )


def require_same(step: int) -> None:
    """UserError if a process goes on from another step than process 0."""
    first = gathered(step)[0]
    if first != step:
        raise UserError(
            f"process {jax.process_index()} goes on from step {step}, process 0 from {first}: one "
            "of them could not read the newest checkpoint; start them again"
        )


def gathered(own: T) -> list[T]:
    """The values of all processes, in their order; every process must call it.

    Raises:
        DisconnectedError: another process has ended.
    """
    if jax.process_count() == 1:
        return [own]
    # As bytes: shapes may differ, and JAX would turn float64 into float32. Unpickling is safe: the
    # bytes come from the processes of this job, never from a file.
    data = np.frombuffer(pickle.dumps(own), np.uint8)
    try:
        sizes = np.asarray(multihost_utils.process_allgather(np.uint32(len(data))))
        padded = np.pad(data, (0, int(sizes.max()) - len(data)))
        rows = np.asarray(multihost_utils.process_allgather(padded))
    except (RuntimeError, ValueError) as error:  # JAX raises either
        raise disconnected(error) from error
    return [pickle.loads(row[:size].tobytes()) for row, size in zip(rows, sizes, strict=True)]


class Exchange:
    """Whole numbers of all processes, through their coordinator: devices go on computing.

    `gathered` waits for the devices. Every process must make its exchanges in the same order, and
    call each of them as often as the others do.
    """

    _made = itertools.count()

    def __init__(self) -> None:
        self._folder = f"mmjax/exchange/{next(Exchange._made)}"
        self._calls = itertools.count()

    def __call__(self, own: int) -> list[int]:
        """The numbers of this call, in the order of the processes.

        Raises:
            DisconnectedError: another process has ended.
        """
        # Not public in JAX; Orbax reads it too.
        client: Any = distributed.global_state.client
        call = next(self._calls)
        folder = f"{self._folder}/{call}"
        try:
            client.key_value_set(f"{folder}/{jax.process_index()}", str(own))
            client.wait_at_barrier(folder, _DAY)  # the watchdog ends the process earlier
            found = dict(client.key_value_dir_get(f"{folder}/"))
            if call and not jax.process_index():  # the others have read the last call's
                client.key_value_delete(f"{self._folder}/{call - 1}/")
        except (RuntimeError, ValueError) as error:
            raise disconnected(error) from error
        return [int(found[f"{folder}/{process}"]) for process in range(jax.process_count())]


def barrier(name: str) -> None:
    """Wait until every process is here."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(name)


def leave(code: int) -> NoReturn:
    """Exit; after an error at once, without JAX's shutdown, which would wait for the others."""
    if jax.distributed.is_initialized() and code:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _leave_with_traceback(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    traceback.print_exception(kind, error, trace)
    leave(1)
