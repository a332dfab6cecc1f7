"""The mean of the last steps: what one line of the log shows."""

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from mmjax.types import Sums


class Window:
    """Sums since the last record, in float64; `state` goes into checkpoints, bit for bit."""

    def __init__(self, state: Mapping[str, Any] | None = None) -> None:
        self._sums = {name: list(pair) for name, pair in (state or {}).items()}
        self._examples = 0
        self._begin = time.perf_counter()

    @property
    def state(self) -> dict[str, list[float]]:
        """What a resumed run goes on with."""
        return {name: list(pair) for name, pair in self._sums.items()}

    def add(self, sums: Mapping[str, Sums], examples: int) -> None:
        """Waits for the step that the sums come from."""
        for name, new in sums.items():
            pair = self._sums.setdefault(name, [0.0, 0.0])
            pair[0] += float(np.asarray(new.total))
            pair[1] += float(np.asarray(new.count))
        self._examples += examples

    def pause(self) -> float:
        """The time now; give it to `go_on` so that what came between does not count as training."""
        return time.perf_counter()

    def go_on(self, paused: float) -> None:
        """The clock goes on from where it was paused."""
        self._begin += time.perf_counter() - paused

    def flush(self) -> dict[str, float]:
        """The means, and examples per second of this process; then begin anew."""
        now = time.perf_counter()
        means = {
            name: total / count if count else 0.0 for name, (total, count) in self._sums.items()
        }
        means["examples_per_second"] = self._examples / max(now - self._begin, 1e-9)
        self._sums, self._examples, self._begin = {}, 0, now
        return means
