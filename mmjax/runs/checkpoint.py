"""Saving checkpoints: Orbax's CheckpointManager, with the record that `stored` reads them by."""

import contextlib
import logging
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers

from mmjax.devices import parallel
from mmjax.devices.failure import first_line
from mmjax.errors import StorageError
from mmjax.io import json_file
from mmjax.models.train_state import TrainState
from mmjax.runs import checkpoint_reader
from mmjax.runs.fingerprint import fingerprints
from mmjax.runs.stop import Interrupted

_DELETED = "deleted"  # a folder in that of the checkpoints


class _NewestAndBest(checkpoint_managers.PreservationPolicy):
    """The newest `keep` and the best; Orbax's own BestN deletes the best for a NaN."""

    def __init__(self, keep: int, scores: Mapping[int, float]) -> None:
        self._keep = keep
        self._scores = scores

    # Any: Orbax's types are protocols that no run-time checker can look into.
    def should_preserve(self, checkpoints: Sequence[Any], *, context: Any) -> Sequence[bool]:
        steps = [checkpoint.step for checkpoint in checkpoints]
        newest = sorted(steps)[-self._keep :]
        best = max(self._scores, key=self._scores.__getitem__, default=None)
        return [step in newest or step == best for step in steps]


class Checkpoints:
    """A run's checkpoints: the newest `keep`, and the best by one validation metric.

    An old one is deleted when a newer one is whole, and not before; it loses its name first, so
    that nobody takes one that is half deleted for a checkpoint.
    """

    def __init__(
        self, run: Path, *, keep: int = 2, best: str = "loss", mode: Literal["max", "min"] = "min"
    ) -> None:
        self._best = best
        self._mode: Literal["max", "min"] = mode
        self._folder = (run / checkpoint_reader.FOLDER).absolute()
        self._scores: dict[int, float] = {}
        for step in checkpoint_reader.steps(run):
            with contextlib.suppress(checkpoint_reader.DamagedError):  # it cannot be the best
                self._rate(step, checkpoint_reader.record(run, step)["metrics"])
        self._manager = ocp.CheckpointManager(
            self._folder,
            options=ocp.CheckpointManagerOptions(
                preservation_policy=_NewestAndBest(keep, self._scores),
                cleanup_tmp_directories=True,
                todelete_subdir=_DELETED,
                # Otherwise it waits for 5 minutes for a folder that a full disk does not take.
                async_options=ocp.options.AsyncOptions(create_directories_asynchronously=False),
            ),
            item_names=("variables", "training", "record"),
        )

    def _rate(self, step: int, metrics: Mapping[str, Any] | None) -> None:
        score = checkpoint_reader.score(metrics, self._best, self._mode)
        if score > -np.inf:
            self._scores[step] = score

    def save(
        self, state: TrainState, progress: Mapping[str, Any], metrics: Mapping[str, float] | None
    ) -> None:
        """Start saving; goes on in the background until the next call or `close`.

        Raises:
            OSError: this checkpoint, or the one before, could not be written.
        """
        step = int(state.step)
        if step in self._manager.all_steps():
            return
        record = json_file.plain(
            {
                "format": checkpoint_reader.FORMAT,
                "step": step,
                "progress": progress,
                "metrics": metrics,
                "variables": fingerprints(state.variables),
                "training": fingerprints(state.training),
            }
        )
        record[json_file.CHECKSUM] = json_file.checksum(record)
        self._rate(step, metrics)
        with _writing(self._folder):
            _forget_place(self._folder)
            self._manager.save(
                step,
                args=ocp.args.Composite(
                    variables=ocp.args.PyTreeSave(state.variables),
                    training=ocp.args.PyTreeSave(state.training),
                    record=ocp.args.JsonSave(record),
                ),
            )
            self._sweep()

    def _sweep(self) -> None:
        """Delete what has lost its name."""
        if parallel.primary():
            for folder in (self._folder / _DELETED).glob("*"):
                shutil.rmtree(folder, ignore_errors=True)  # or the next time

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, jax.errors.JaxRuntimeError) and jax.process_count() > 1:
            return  # another process is gone: what is being saved would wait for it
        try:
            self.close()
        except OSError as closing:
            if error is None or isinstance(error, Interrupted):  # which says that it was saved
                raise
            print(closing, file=sys.stderr)  # and the first error, which counts, goes on

    def wait(self) -> None:
        """Until what is being saved is on the disk; OSError if it could not be."""
        with _writing(self._folder):
            self._manager.wait_until_finished()
            _forget_place(self._folder)
            self._sweep()

    def close(self) -> None:
        """Wait, then let go of everything."""
        try:
            self.wait()
        finally:
            self._manager.close()


def _forget_place(folder: Path) -> None:
    """Orbax writes down where each checkpoint lies, and with it whose home that is."""
    if not parallel.primary():
        return
    with contextlib.suppress(FileNotFoundError):  # it deletes old ones meanwhile
        for note in folder.glob("**/commit_success.txt"):
            if note.stat().st_size:
                note.write_text("")  # that there is such a file is all that is ever asked


def _news(record: logging.LogRecord) -> bool:
    return "exception was never retrieved" not in record.getMessage()


@contextlib.contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Orbax and its storage raise many things when a disk is full or gone."""
    try:
        yield
    except (jax.errors.JaxRuntimeError, MemoryError):
        raise
    except Exception as error:
        # The tasks of Orbax that failed beside this one would be told of, at length, after it.
        logging.getLogger("asyncio").addFilter(_news)
        raise StorageError(
            f"{folder}: a checkpoint could not be written: {type(error).__name__}: "
            f"{first_line(error)}\n"
            "The checkpoints before it are as they were: mend the cause (is the disk full?) and "
            "run the same command again to go on"
        ) from error
