"""What the errors of JAX and of the system mean for somebody who trains."""

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

import jax

from mmjax.config import Experiment

_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE)


def first_line(error: BaseException) -> str:
    """Of its text: what JAX, Orbax and TensorStore raise goes on for pages."""
    return next((line for line in str(error).splitlines() if line.strip()), "")[:300]


@contextlib.contextmanager
def explained(experiment: Experiment, run: Path) -> Iterator[None]:
    """Raises in place of the error of JAX or of the system:

    MemoryError: a device's memory does not hold a step; says what would make it smaller.
    ConnectionError: one of several processes has ended.
    OSError: the disk takes nothing more; names the run's folder.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _DISK:
            raise
        raise OSError(
            f"{run}: cannot be written to: {error}\nThe last checkpoint is as it was: mend the "
            "cause (is the disk full?) and run the same command again to go on"
        ) from error
    except jax.errors.JaxRuntimeError as error:
        text = first_line(error)
        if "RESOURCE_EXHAUSTED" in text or "out of memory" in text.lower():
            half = ["--model.precision bfloat16"]
            if getattr(experiment.model, "precision", "bfloat16") == "bfloat16":
                half = []
            remedies = ["a smaller --batch-size", "more --devices"]
            if experiment.accumulate < experiment.batch_size:
                remedies.append(f"--accumulate {2 * experiment.accumulate} or more")
            if not getattr(experiment.model, "remat", True):
                remedies.append("--model.remat")
            remedies += half
            raise MemoryError(
                f"out of memory in a step with --batch-size {experiment.batch_size}: {text}\n"
                f"What takes less: {', '.join(remedies)}. `mmjax describe` shows how much before "
                "a training begins"
            ) from error
        if jax.process_count() > 1:
            raise ConnectionError(
                f"another process has ended or cannot be reached: {text}\n"
                "See its output; run the same command in every process again to go on"
            ) from error
        raise
