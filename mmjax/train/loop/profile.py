"""A trace of some steps, written into `<run>/profile`.

TensorBoard (with its profile plugin, `pip install xprof`) opens the folder; Perfetto opens the
`.trace.json.gz` in it. The trace holds operations and times, no source file, path or host name.
"""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax

from mmjax.config.privacy import hide_host
from mmjax.config.span import Span
from mmjax.devices import parallel

FOLDER = "profile"


class Profile:
    """Traces the calls that contain steps of a span; does nothing without a span."""

    def __init__(self, span: Span | None, run: Path, say: Callable[[str], None]) -> None:
        self._span = span if parallel.primary() else None  # the other processes do the same
        self._folder, self._say = run / FOLDER, say
        self._first: int | None = None  # of the steps that are being traced
        self._last = 0

    def __enter__(self) -> "Profile":
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if self._first is not None:
            self._finish(quiet=error is not None)
        elif self._span is not None and not error:
            self._say(f"--profile {self._span}: nothing was traced, no such step was trained now")

    @contextlib.contextmanager
    def around(self, first: int, last: int, state: Any) -> Iterator[list[Any]]:
        """A context for the call that makes the steps `first` to `last` from `state`.

        The caller appends the call's results to the list.
        """
        results: list[Any] = []
        span = self._span
        if span is not None and self._first is None and first <= span.last and last >= span.first:
            jax.block_until_ready(state)  # do not trace earlier calls
            options = jax.profiler.ProfileOptions()
            options.python_tracer_level = 0  # both of these write the paths of source files
            options.enable_hlo_proto = False
            jax.profiler.start_trace(str(self._folder), profiler_options=options)
            self._first = first
        if span is None or self._first is None:
            yield results
            return
        with jax.profiler.StepTraceAnnotation("train", step_num=first):
            yield results
        self._last = last
        if last >= span.last:
            jax.block_until_ready(results)
            self._finish()

    def _finish(self, quiet: bool = False) -> None:
        """Write the trace."""
        first, self._first, self._span = self._first, None, None
        jax.profiler.stop_trace()
        newest = max((self._folder / "plugins" / "profile").iterdir())
        hide_host(newest)
        if not quiet:
            self._say(f"profile of steps {first} to {self._last}: {newest}")
