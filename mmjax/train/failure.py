"""What JAX's run-time errors mean for somebody who trains."""

import contextlib
from collections.abc import Iterator

import jax

from mmjax.config import Experiment


@contextlib.contextmanager
def explained(experiment: Experiment) -> Iterator[None]:
    """Raises in place of JAX's error:

    MemoryError: a device's memory does not hold a step; says what would make it smaller.
    ConnectionError: one of several processes has ended.
    """
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        text = next((line for line in str(error).splitlines() if line.strip()), "")
        if "RESOURCE_EXHAUSTED" in text or "out of memory" in text.lower():
            half = ["--model.precision bfloat16"]
            if getattr(experiment.model, "precision", "bfloat16") == "bfloat16":
                half = []
            remedies = ["a smaller --batch-size", "more --devices", *half]
            raise MemoryError(
                f"out of memory in a step with --batch-size {experiment.batch_size}: {text:.300}\n"
                f"What takes less: {', '.join(remedies)}. `mmjax describe` shows how much before "
                "a training begins"
            ) from error
        if jax.process_count() > 1:
            raise ConnectionError(
                f"another process has ended or cannot be reached: {text:.300}\n"
                "See its output; run the same command in every process again to go on"
            ) from error
        raise
