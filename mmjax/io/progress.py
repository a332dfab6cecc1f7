"""Progress of long work: a bar on a terminal, a line every few seconds elsewhere."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

_QUIET = 2.0  # seconds before anything is shown
_BETWEEN = 10.0  # seconds between two lines


@contextlib.contextmanager
def shown(what: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """A function that is told how many of `total` are done; work of under 2 seconds is silent."""
    began = last = time.monotonic()
    bar = None

    def tell(done: int) -> None:
        nonlocal last, bar
        now = time.monotonic()
        if now - began < _QUIET:
            return
        if sys.stderr.isatty():
            if bar is None:
                bar = stack.enter_context(_bar())
                bar.add_task(what, total=total)
            bar.update(bar.task_ids[0], completed=done)
        elif now - last >= _BETWEEN:
            last = now
            print(f"{what}: {done:,}" + (f" of {total:,}" if total else ""), file=sys.stderr)

    with contextlib.ExitStack() as stack:
        yield tell


def _bar():
    from rich import progress
    from rich.console import Console

    return progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
