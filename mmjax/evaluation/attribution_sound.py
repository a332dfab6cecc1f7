"""Attributions of a sound over time and frequency, Vielhaben et al. 2023, arXiv:2303.06365.

Samples are linear in their short-time Fourier coefficients, so a straight path of samples is one of
coefficients too: the integrated gradient of a coefficient is the coefficient times its mean slope.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float


class ShortTime(NamedTuple):
    """A sound by frame and band; the bands are equally wide on the mel scale, or one frequency."""

    power: Float[np.ndarray, "frame band"]
    products: Float[np.ndarray, "frame band"]  # they sum to that of samples * slope
    reaction: Float[np.ndarray, "frame band"]  # root of the power of `at_input`
    edges: Float[np.ndarray, "edge"]  # of the bands, in Hz


def short_time(
    samples: Float[np.ndarray, "sample"],
    slope: Float[np.ndarray, "sample"],
    at_input: Float[np.ndarray, "sample"],
    *,
    rate: int,
    window: int,
    hop: int,
    most: int = 24,
) -> ShortTime:
    """Fold a sound and its gradients into at most `most` bands of frames around 0, hop, 2 hop ...

    A tight frame: each is cut by the root of a Hann window, and these windows sum to 1.

    Args:
        samples: of the sound
        slope: mean gradient along the path
        at_input: gradient at the input
        rate: samples per second
        window: samples in a frame, at least `hop`
        hop: samples from one frame to the next
        most: bands
    """
    frames = -(-len(samples) // hop) + 1
    place = np.arange(frames)[:, None] * hop + np.arange(window)[None]
    size = (frames - 1) * hop + window
    hann = np.broadcast_to(np.sin(np.pi * (np.arange(window) + 0.5) / window) ** 2, place.shape)
    total = np.bincount(place.ravel(), hann.ravel(), size)
    root = np.sqrt(hann / total[place])
    x, g, h = (
        np.fft.rfft(np.pad(one, (window // 2, size))[:size][place] * root)
        for one in (samples, slope, at_input)
    )
    both = np.full(x.shape[1], 2.0 / window)  # a frequency and its negative
    both[[0, -1] if window % 2 == 0 else [0]] /= 2
    mel = np.linspace(0, np.log1p(rate / 2 / 700), most + 1)  # O'Shaughnessy 1987
    starts = np.unique(np.round(700 * np.expm1(mel[:-1]) / rate * window).astype(int))
    starts = starts[starts < x.shape[1]]
    parts = (np.abs(x) ** 2 * both, (x * g.conj()).real * both, np.abs(h) ** 2 * both)
    power, products, reaction = (np.add.reduceat(part, starts, axis=1) for part in parts)
    edges = np.append(starts * rate / window, rate / 2)
    return ShortTime(power, products, np.sqrt(reaction), edges)
