"""A trace of some steps: what each device and thread did when, in the run's folder.

TensorBoard (with its profile plugin) opens `<run>/profile`; Perfetto opens the `.trace.json.gz` in
it. It names operations and times, but no source file, path or machine.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
from rich.console import Console

from mmjax.config.span import Span
from mmjax.devices import parallel
from mmjax.train.loop import operations

FOLDER = "profile"


class Profile:
    """Traces the calls that hold the steps of a span; without a span it does nothing.

    `before` and `after` stand around each call of a step, or of several steps in one program.
    """

    def __init__(self, span: Span | None, run: Path, say: Callable[[str], None]) -> None:
        # What the other processes do is the same.
        self._span = span if parallel.primary() else None
        self._folder, self._say = run / FOLDER, say
        self._first: int | None = None  # of the steps that are being traced
        self._last = 0
        self._mark: jax.profiler.StepTraceAnnotation | None = None

    def __enter__(self) -> "Profile":
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if self._first is not None:
            self._stop() if error else self._finish()
        elif self._span is not None and not error:
            self._say(f"--profile {self._span}: nothing was traced, no such step was trained now")

    def before(self, first: int, last: int, given: Any) -> None:
        """A call comes that makes the steps `first` to `last` from `given`."""
        if self._span is None:
            return
        if self._first is None and first <= self._span.last and last >= self._span.first:
            jax.block_until_ready(given)  # what was launched earlier is no part of it
            options = jax.profiler.ProfileOptions()
            options.python_tracer_level = 0  # both of these write the paths of source files
            options.enable_hlo_proto = False
            jax.profiler.start_trace(str(self._folder), profiler_options=options)
            self._first = first
        if self._first is not None:
            self._mark = jax.profiler.StepTraceAnnotation("train", step_num=first)
            self._mark.__enter__()

    def after(self, last: int, made: Any) -> None:
        """The call was launched; its results are `made`."""
        if self._span is None or self._first is None:
            return
        self._unmark()
        self._last = last
        if last >= self._span.last:
            jax.block_until_ready(made)
            self._finish()

    def _unmark(self) -> None:
        if self._mark is not None:
            self._mark.__exit__(None, None, None)
            self._mark = None

    def _stop(self) -> Path:
        """Write the trace; returns its folder."""
        self._unmark()
        self._first = self._span = None
        jax.profiler.stop_trace()
        newest = max((self._folder / "plugins" / "profile").iterdir())
        for suffix in ("xplane.pb", "json.gz"):
            for file in newest.glob(f"*.{suffix}"):  # called after the machine
                file.rename(newest / f"trace.{suffix}")
        return newest

    def _finish(self) -> None:
        """... and say what it holds."""
        first, last = self._first or self._last, self._last
        folder = self._stop()
        found = operations.operations(folder / "trace.xplane.pb")
        self._say(f"profile of steps {first} to {last}: {folder}")
        shown = operations.table(found, operations.places(), steps=last - first + 1)
        Console(stderr=True).print(shown)
