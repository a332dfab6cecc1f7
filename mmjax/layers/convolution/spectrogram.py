"""Log-mel spectrogram, Davis & Mermelstein 1980, doi:10.1109/TASSP.1980.1163420; differentiable."""

import math

import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool, Float

from mmjax.layers.tokens.masking import clear
from mmjax.layers.tokens.windows import window_mask

FLOOR = 1e-6  # added to the power before the logarithm: below the resolution of 16 bits


def mel_filters(
    sample_rate: int, fft: int, mels: int, low: float = 0.0, high: float | None = None
) -> Float[np.ndarray, "mel frequency"]:
    """Triangles of area 1 per Hz, equally spaced on Slaney's mel scale from `low` to `high` Hz.

    The scale is linear below 1 kHz (3/200 mel per Hz) and logarithmic above it (27 mel for a factor
    of 6.4), as in Slaney's Auditory Toolbox (1998) and librosa. `high=None` is half the rate.

    Raises:
        ValueError: a filter lies between two frequencies of the transform and is empty.
    """
    high = sample_rate / 2 if high is None else high
    edges = _hertz(np.linspace(_mel(low), _mel(high), mels + 2))
    frequency = np.fft.rfftfreq(fft, 1 / sample_rate)
    rise = (frequency[None] - edges[:-2, None]) / np.diff(edges)[:-1, None]
    fall = (edges[2:, None] - frequency[None]) / np.diff(edges)[1:, None]
    filters = np.maximum(0, np.minimum(rise, fall)) * 2 / (edges[2:] - edges[:-2])[:, None]
    if not filters.any(axis=1).all():
        raise ValueError(
            f"mels={mels}: at {sample_rate} Hz a window of {fft} samples cannot tell so many "
            "bands apart; take fewer or a longer window"
        )
    return filters.astype(np.float32)


def _mel(hertz: float) -> float:
    if hertz < 1000:
        return hertz * 3 / 200
    return 15 + 27 * math.log(hertz / 1000) / math.log(6.4)


def _hertz(mel: np.ndarray) -> np.ndarray:
    return np.where(mel < 15, mel * 200 / 3, 1000 * 6.4 ** ((mel - 15) / 27))


def power_spectrogram(
    samples: Float[Array, "batch sample"], window: int, hop: int, fft: int
) -> Float[Array, "batch frame frequency"]:
    """|DFT(Hann window * samples)|^2 of frames centred on samples 0, hop, 2 hop ...

    The samples are padded with zeros on both sides; each window is centred in `fft` samples.
    """
    frames = -(-samples.shape[1] // hop)
    before = fft // 2
    after = max(0, (frames - 1) * hop + fft - before - samples.shape[1])
    padded = jnp.pad(samples, ((0, 0), (before, after)))
    place = jnp.arange(frames)[:, None] * hop + jnp.arange(fft)[None]
    # The periodic Hann window, as usual in spectral analysis.
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    left = (fft - window) // 2
    hann = np.pad(hann, (left, fft - window - left)).astype(np.float32)
    spectrum = jnp.fft.rfft(padded[:, place] * hann[None, None], axis=-1)
    return jnp.square(spectrum.real) + jnp.square(spectrum.imag)


def log_mel(
    samples: Float[Array, "batch sample"],
    mask: Bool[Array, "batch sample"],
    *,
    sample_rate: int,
    window: float,
    hop: float,
    mels: int,
) -> tuple[Float[Array, "batch frame mel"], Bool[Array, "batch frame"]]:
    """log(power in each mel band), frames of `window` seconds every `hop` seconds, standardised.

    Each example is standardised over its bands and frames, which removes the recording level. A
    frame is unmasked if any sample in the `hop` seconds from its centre is. Computed in float32 for
    any type of samples.

    Raises:
        ValueError: the hop is less than a sample, or the window shorter than the hop.
    """
    width, step = round(window * sample_rate), round(hop * sample_rate)
    if step < 1 or width < step:
        raise ValueError(
            f"window={window:g} s and hop={hop:g} s at {sample_rate} Hz: expected a hop of a "
            "sample or more and a window at least as long"
        )
    fft = 1 << (width - 1).bit_length()
    filters = mel_filters(sample_rate, fft, mels)
    power = power_spectrogram(clear(samples, mask).astype(jnp.float32), width, step, fft)
    bands = jnp.log(jnp.einsum("btf,mf->btm", power, filters, precision="highest") + FLOOR)
    frame_mask = window_mask(mask, step)
    return _standardised(bands, frame_mask).astype(samples.dtype), frame_mask


def _standardised(
    bands: Float[Array, "batch frame mel"], mask: Bool[Array, "batch frame"]
) -> Float[Array, "batch frame mel"]:
    """Mean 0 and variance 1 over the unmasked frames of each example; masked frames are zeros."""
    count = jnp.maximum(jnp.sum(mask, axis=1), 1).astype(bands.dtype) * bands.shape[-1]

    def mean(x):
        return (jnp.sum(clear(x, mask), axis=(1, 2)) / count)[:, None, None]

    centred = clear(bands - mean(bands), mask)
    return centred / jnp.sqrt(mean(jnp.square(centred)) + 1e-5)
