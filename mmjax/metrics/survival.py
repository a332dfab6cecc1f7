"""Metrics of predicted risks."""

import numpy as np

_ROWS = 512  # that are compared with all others at a time


def concordance(hazard: np.ndarray, time: np.ndarray, event: np.ndarray) -> float:
    """The share of comparable pairs in which the earlier event has the higher hazard.

    Harrell's C (Harrell et al. 1982, JAMA 247). A pair is comparable if the earlier time is an
    event, or the times are equal and one of both is an event. Equal hazards count half. All arrays
    are `[example]`; NaN without a comparable pair.
    """
    right = pairs = 0.0
    event = np.asarray(event, bool)
    rows = np.flatnonzero(event)
    for start in range(0, len(rows), _ROWS):
        i = rows[start : start + _ROWS, None]
        comparable = (time[i] < time[None]) | ((time[i] == time[None]) & ~event[None])
        pairs += comparable.sum()
        right += np.sum(comparable & (hazard[i] > hazard[None]))
        right += 0.5 * np.sum(comparable & (hazard[i] == hazard[None]))
    return float(right / pairs) if pairs else float("nan")
