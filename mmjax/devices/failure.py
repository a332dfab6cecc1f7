"""Errors of JAX and of the operating system, translated into errors that a user can act on."""

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

import jax

from mmjax.config import Experiment
from mmjax.errors import DisconnectedError, OutOfMemoryError, StorageError, UserError

_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE)


def first_line(error: BaseException) -> str:
    """The first line of an error's text: errors of JAX and Orbax may be pages long."""
    return next((line for line in str(error).splitlines() if line.strip()), "")[:300]


def disconnected(error: BaseException) -> DisconnectedError:
    """The error of a process that cannot reach another one."""
    return DisconnectedError(
        f"another process has ended or cannot be reached: {first_line(error)}\n"
        "See its output; run the same command in every process again to go on"
    )


@contextlib.contextmanager
def explained(experiment: Experiment, run: Path) -> Iterator[None]:
    """A context that translates errors of JAX and of the operating system.

    Raises:
        OutOfMemoryError: a step does not fit into a device's memory; names flags that help.
        DisconnectedError: another process has ended.
        StorageError: the disk is full or gone, or a file cannot be opened.
    """
    try:
        yield
    except UserError:
        raise
    except OSError as error:
        if error.errno in _DISK:
            raise StorageError(
                f"{run}: cannot be written to: {error}\nThe last checkpoint is intact: fix the "
                "cause (is the disk full?) and run the same command again to go on"
            ) from error
        if error.filename is None:
            raise
        raise StorageError(f"{error.filename}: {error.strerror}") from error
    except jax.errors.JaxRuntimeError as error:
        text = first_line(error)
        if "RESOURCE_EXHAUSTED" in text or "out of memory" in text.lower():
            raise OutOfMemoryError(
                f"out of memory in a step with --batch-size {experiment.batch_size}: {text}\n"
                f"These use less: {', '.join(_smaller(experiment))}. `mmjax describe` shows how "
                "much memory a training needs"
            ) from error
        if jax.process_count() > 1:
            raise disconnected(error) from error
        raise


def _smaller(experiment: Experiment) -> Iterator[str]:
    parts = experiment.compute.accumulate
    yield "a smaller --batch-size"
    yield "more --devices"
    if parts < experiment.batch_size:
        yield f"--accumulate {2 * parts} or more"
    if not experiment.compute.remat:
        yield "--remat"
    if experiment.model.precision != "bfloat16":
        yield "--model.precision bfloat16"
