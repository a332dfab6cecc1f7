"""Fixed positions for sequences of any length, Vaswani et al. 2017, arXiv:1706.03762."""

import numpy as np
from jaxtyping import Float


def sinusoids(token: int, width: int) -> Float[np.ndarray, "token width"]:
    """sin(t f_k) and cos(t f_k) for every place t; f_k falls geometrically from 1 to 1/10000."""
    half = (width + 1) // 2
    frequency = 10_000.0 ** (-np.arange(half) / max(half - 1, 1))
    angle = np.arange(token)[:, None] * frequency[None]
    return np.concatenate([np.sin(angle), np.cos(angle)], axis=1)[:, :width].astype(np.float32)
