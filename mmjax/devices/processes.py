"""Several processes that train together: how they start, notice each other's death, and end.

JAX's own ways of failing are to wait for ever. Here whoever cannot go on leaves at once, which ends
the others' collectives with an error; and whoever waits for too long leaves too.
"""

import os
import pickle
import sys
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import NoReturn, TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils

from mmjax.config.processes import Processes
from mmjax.devices import parallel
from mmjax.devices.failure import first_line
from mmjax.devices.watchdog import Watchdog
from mmjax.errors import DisconnectedError, UserError

T = TypeVar("T")
HEARTBEAT = 10  # seconds without a sign of life after which a process counts as dead


def start(processes: Processes) -> None:
    """Meet the other processes; must come before anything touches a device.

    Who waits for them in vain is ended, with an error.

    Raises:
        ConnectionError: there is no way to meet them.
    """
    if not processes.distributed:
        return
    parallel.one_host_device()
    where = processes.coordinator or "the place that JAX found by itself"
    # JAX's own limit aborts the process with a C++ stack trace: ours comes first.
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
    except (RuntimeError, ValueError) as error:  # a port that is taken; nothing to be found
        raise DisconnectedError(
            f"--distributed: cannot meet at {where}: {first_line(error)}"
        ) from error
    sys.excepthook = _leave_with_traceback


def require_one_folder(token: str, read: Callable[[], str | None]) -> None:
    """Every process must see the folder of process 0, whose lock holds its `token`.

    Raises:
        UserError: this one reads another token there, or none.
    """
    if jax.process_count() == 1:
        return
    mine = np.frombuffer(token.encode(), np.uint8)
    theirs = bytes(np.asarray(multihost_utils.broadcast_one_to_all(mine)).tolist()).decode()
    if jax.process_index() and read() != theirs:
        raise UserError(
            f"process {jax.process_index()} does not see the folder that process 0 writes to: "
            "--workdir must be on a file system that all share"
        )


def require_same(step: int) -> None:
    """Every process must go on from the step from which process 0 does.

    Raises:
        UserError: this one read another checkpoint.
    """
    if jax.process_count() == 1:
        return
    first = int(multihost_utils.broadcast_one_to_all(np.int32(step)))
    if first != step:
        raise UserError(
            f"process {jax.process_index()} goes on from step {step}, process 0 from {first}: one "
            "of them could not read the newest checkpoint; start them again"
        )


def gathered(own: T) -> list[T]:
    """What every process has found, in their order; each must call it. Waits for all of them.

    Raises:
        ConnectionError: one of them has ended.
    """
    if jax.process_count() == 1:
        return [own]
    # As bytes: they need not be of one shape, and JAX would make float32 of float64. Pickled, which
    # runs what it reads: it comes from the processes of this job alone, never from a file.
    data = np.frombuffer(pickle.dumps(own), np.uint8)
    try:
        sizes = np.asarray(multihost_utils.process_allgather(np.uint32(len(data))))
        padded = np.pad(data, (0, int(sizes.max()) - len(data)))
        rows = np.asarray(multihost_utils.process_allgather(padded))
    except (RuntimeError, ValueError) as error:  # JAX's is either, by where it notices
        first = (str(error).splitlines() or [""])[0][:300]
        raise DisconnectedError(
            f"another process has ended or cannot be reached: {first}\n"
            "See its output; run the same command in every process again to go on"
        ) from error
    return [pickle.loads(row[:size].tobytes()) for row, size in zip(rows, sizes, strict=True)]


def barrier(name: str) -> None:
    """Wait until every process is here."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(name)


def leave(code: int) -> NoReturn:
    """End this process: with others beside it at once, without the farewell they might not say."""
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
