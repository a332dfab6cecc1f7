"""Saves checkpoints with Orbax, each with the record that `checkpoint_reader` verifies."""

import contextlib
import logging
import math
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
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

_DELETED = "deleted"  # subfolder for checkpoints that are being deleted


class _NewestAndBest(checkpoint_managers.PreservationPolicy):
    """Keeps the newest `keep` and the best; Orbax's BestN deletes the best after a NaN."""

    def __init__(self, keep: int, scores: Mapping[int, float]) -> None:
        self._keep = keep
        self._scores = scores

    # Any: Orbax's protocols cannot be checked at run time.
    def should_preserve(self, checkpoints: Sequence[Any], *, context: Any) -> Sequence[bool]:
        steps = [checkpoint.step for checkpoint in checkpoints]
        newest = sorted(steps)[-self._keep :]
        best = max(self._scores, key=self._scores.__getitem__, default=None)
        return [step in newest or step == best for step in steps]


class Checkpoints:
    """A run's checkpoints: the newest `keep`, and the best by a validation metric.

    An old checkpoint is deleted only when a newer one is complete. It is renamed first, so that a
    half-deleted folder is never taken for a checkpoint.
    """

    def __init__(
        self, run: Path, *, keep: int = 2, best: str = "loss", mode: checkpoint_reader.Mode = "min"
    ) -> None:
        self._best = best
        self._mode: checkpoint_reader.Mode = mode
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
                # Otherwise Orbax waits 5 minutes for a folder that a full disk cannot hold.
                async_options=ocp.options.AsyncOptions(create_directories_asynchronously=False),
            ),
            item_names=("variables", "training", "record"),
        )

    def _rate(self, step: int, metrics: Mapping[str, Any] | None) -> None:
        score = checkpoint_reader.score(metrics, self._best, self._mode)
        if score > -math.inf:
            self._scores[step] = score

    def save(
        self, state: TrainState, progress: Mapping[str, Any], metrics: Mapping[str, float] | None
    ) -> None:
        """Start saving; it continues in the background until the next call or `close`.

        Raises:
            StorageError: this checkpoint or the previous one could not be written.
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
        with self._writing():
            self._manager.save(
                step,
                args=ocp.args.Composite(
                    variables=ocp.args.PyTreeSave(state.variables),
                    training=ocp.args.PyTreeSave(state.training),
                    record=ocp.args.JsonSave(record),
                ),
            )

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, jax.errors.JaxRuntimeError) and jax.process_count() > 1:
            return  # another process has ended: the save would wait for it
        try:
            self.close()
        except OSError as closing:
            if error is None or isinstance(error, Interrupted):  # which says that it was saved
                raise
            print(closing, file=sys.stderr)  # the first error is the important one

    def wait(self) -> None:
        """Wait until the last checkpoint is on disk; StorageError if it could not be written."""
        with self._writing():
            self._manager.wait_until_finished()

    def close(self) -> None:
        """Wait, then release all resources."""
        try:
            self.wait()
        finally:
            self._manager.close()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Turns the many errors of Orbax on a full or missing disk into one; cleans up after it."""
        try:
            yield
            if parallel.primary():
                self._clean()
        except (jax.errors.JaxRuntimeError, MemoryError):
            raise
        except Exception as error:
            # asyncio would report Orbax's other failed tasks, at length, after this error.
            logging.getLogger("asyncio").addFilter(_is_news)
            raise StorageError(
                f"{self._folder}: a checkpoint could not be written: {type(error).__name__}: "
                f"{first_line(error)}\n"
                "The checkpoints before it are intact: fix the cause (is the disk full?) and run "
                "the same command again to go on"
            ) from error

    def _clean(self) -> None:
        """Delete renamed checkpoints, and the paths that Orbax writes down (they show the home)."""
        for folder in (self._folder / _DELETED).glob("*"):
            shutil.rmtree(folder, ignore_errors=True)  # or the next time
        with contextlib.suppress(FileNotFoundError):  # Orbax may delete old ones meanwhile
            for note in self._folder.glob("**/commit_success.txt"):
                if note.stat().st_size:
                    note.write_text("")  # only the existence of this file matters


def _is_news(record: logging.LogRecord) -> bool:
    return "exception was never retrieved" not in record.getMessage()
