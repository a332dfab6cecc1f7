"""What the errors of JAX and of the system mean for somebody who trains."""

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

import jax

from mmjax.config import Experiment
from mmjax.errors import DisconnectedError, OutOfMemoryError, StorageError, UserError

_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE)


def first_line(error: BaseException) -> str:
    """Of its text: what JAX, Orbax and TensorStore raise goes on for pages."""
    return next((line for line in str(error).splitlines() if line.strip()), "")[:300]


@contextlib.contextmanager
def explained(experiment: Experiment, run: Path) -> Iterator[None]:
    """A context that says what an error of JAX or of the system means.

    Raises:
        OutOfMemoryError: a device's memory does not hold a step; says what would make it smaller.
        DisconnectedError: one of several processes has ended.
        StorageError: the disk takes nothing more, or a file cannot be opened.
    """
    try:
        yield
    except UserError:
        raise
    except OSError as error:
        if error.errno not in _DISK:
            if error.filename is None:
                raise
            raise StorageError(f"{error.filename}: {error.strerror}") from error
        raise StorageError(
            f"{run}: cannot be written to: {error}\nThe last checkpoint is as it was: mend the "
            "cause (is the disk full?) and run the same command again to go on"
        ) from error
    except jax.errors.JaxRuntimeError as error:
        text = first_line(error)
        if "RESOURCE_EXHAUSTED" in text or "out of memory" in text.lower():
            parts = experiment.compute.accumulate
            remedies = ["a smaller --batch-size", "more --devices"]
            if parts < experiment.batch_size:
                remedies.append(f"--accumulate {2 * parts} or more")
            if not experiment.compute.remat:
                remedies.append("--remat")
            if experiment.model.precision != "bfloat16":
                remedies.append("--model.precision bfloat16")
            raise OutOfMemoryError(
                f"out of memory in a step with --batch-size {experiment.batch_size}: {text}\n"
                f"What takes less: {', '.join(remedies)}. `mmjax describe` shows how much before "
                "a training begins"
            ) from error
        if jax.process_count() > 1:
            raise DisconnectedError(
                f"another process has ended or cannot be reached: {text}\n"
                "See its output; run the same command in every process again to go on"
            ) from error
        raise
