"""Progress of long work: a bar on a terminal, a line every few seconds elsewhere."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

from tqdm import tqdm

_QUIET = 2.0  # seconds before anything is shown
_BETWEEN = 10.0  # seconds between two lines


@contextlib.contextmanager
def shown(what: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """A function that is told how many of `total` are done; work of under 2 seconds is silent."""
    last = time.monotonic()
    terminal = sys.stderr.isatty()
    bar = tqdm(total=total, desc=what, disable=not terminal, leave=False, delay=_QUIET)

    def tell(done: int) -> None:
        nonlocal last
        bar.update(done - bar.n)
        if not terminal and time.monotonic() - last >= _BETWEEN:
            last = time.monotonic()
            print(f"{what}: {done:,}" + (f" of {total:,}" if total else ""), file=sys.stderr)

    with contextlib.closing(bar):
        yield tell
