"""Whether ours and a peer's compute the same function: no row is timed before this is known."""

from collections.abc import Sequence

TOLERANCE = 1e-4


def require_same(ours: Sequence[float], theirs: Sequence[float], what: str) -> float:
    """The largest difference.

    Raises:
        ValueError: it is more than `TOLERANCE`, relative to the larger of the value and 1.
    """
    worst = max(abs(a - b) / max(1.0, abs(b)) for a, b in zip(ours, theirs, strict=True))
    if not worst <= TOLERANCE:
        raise ValueError(f"{what}: ours {list(ours)}, the peer's {list(theirs)}: not the same")
    return worst
