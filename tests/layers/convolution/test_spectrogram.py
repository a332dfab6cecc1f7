import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal

from mmjax.layers.convolution.spectrogram import (
    FLOOR,
    log_mel,
    mel_filters,
    power_spectrogram,
)

SETTINGS = {"sample_rate": 8000, "window": 0.025, "hop": 0.01, "mels": 20}


def noise(batch=2, samples=1000, seed=0):
    return np.random.default_rng(seed).normal(size=(batch, samples)).astype(np.float32)


@pytest.mark.parametrize("samples, window, hop, fft", [(1000, 200, 80, 256), (123, 64, 64, 64)])
def test_the_power_is_that_of_scipy(samples, window, hop, fft):
    x = noise(samples=samples)
    ours = power_spectrogram(jnp.asarray(x), window, hop, fft)
    left = (fft - window) // 2
    hann = np.pad(scipy.signal.get_window("hann", window), (left, fft - window - left))
    padded = np.pad(x, ((0, 0), (fft // 2, fft)))
    _, _, theirs = scipy.signal.stft(
        padded, window=hann, nperseg=fft, noverlap=fft - hop, boundary=None, padded=False
    )
    theirs = np.abs(theirs * hann.sum()).swapaxes(1, 2)[:, : ours.shape[1]] ** 2
    assert ours.shape == (2, -(-samples // hop), fft // 2 + 1)
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("rate, fft, mels", [(8000, 256, 20), (16000, 512, 64), (22050, 2048, 128)])
def test_the_filters_are_those_of_librosa(rate, fft, mels):
    librosa = pytest.importorskip("librosa", reason="librosa is not installed: filters by formula")
    theirs = librosa.filters.mel(sr=rate, n_fft=fft, n_mels=mels)
    np.testing.assert_allclose(mel_filters(rate, fft, mels), theirs, atol=1e-7)


def test_the_filters_are_triangles_of_area_one_on_slaneys_scale():
    """200/3 Hz a mel below 1 kHz, where the edges are then equally far apart."""
    filters = mel_filters(16_000, 4096, 10, 0.0, 1000.0)
    frequency = np.fft.rfftfreq(4096, 1 / 16_000)
    peaks = frequency[filters.argmax(axis=1)]
    np.testing.assert_allclose(peaks, 1000 * np.arange(1, 11) / 11, atol=2)
    np.testing.assert_allclose(filters.sum(axis=1) * frequency[1], 1, rtol=1e-2)


def test_a_tone_stands_in_its_band():
    time = np.arange(4000) / 8000
    tone = np.sin(2 * np.pi * 440 * time)[None].astype(np.float32)
    bands, _ = log_mel(jnp.asarray(tone), jnp.ones((1, 4000), bool), **SETTINGS)
    loudest = np.asarray(bands)[0, 5:-5].argmax(axis=1)
    filters = mel_filters(8000, 256, 20)
    assert set(loudest) == {filters[:, round(440 / 8000 * 256)].argmax()}


def test_how_loud_it_was_recorded_does_not_show():
    x, seen = jnp.asarray(noise()), jnp.ones((2, 1000), bool)
    loud, _ = log_mel(100 * x, seen, **SETTINGS)
    np.testing.assert_allclose(loud, log_mel(x, seen, **SETTINGS)[0], atol=1e-3)
    assert abs(float(jnp.mean(loud[0]))) < 1e-5 and abs(float(jnp.std(loud[0])) - 1) < 1e-3


def test_silence_is_finite_and_so_is_its_gradient():
    silence, seen = jnp.zeros((1, 400)), jnp.ones((1, 400), bool)
    gradient = jax.grad(lambda x: jnp.sum(log_mel(x, seen, **SETTINGS)[0] ** 2))(silence)
    assert np.all(np.isfinite(gradient)) and FLOOR > 0


def test_a_frame_is_there_if_any_of_its_hop_is():
    lengths = np.array([0, 1, 80, 81, 1000])
    mask = jnp.arange(1000)[None] < lengths[:, None]
    _, there = log_mel(jnp.asarray(noise(5)), mask, **SETTINGS)
    np.testing.assert_array_equal(there.sum(axis=1), [0, 1, 1, 2, 13])


def test_what_cannot_be_told_apart_is_refused():
    x, seen = jnp.zeros((1, 100)), jnp.ones((1, 100), bool)
    with pytest.raises(ValueError, match="mels=200: at 8000 Hz a window of 256 samples cannot"):
        log_mel(x, seen, **{**SETTINGS, "mels": 200})
    for wrong in ({"hop": 0.0}, {"window": 0.005}):
        with pytest.raises(ValueError, match="expected a hop of a sample or more and a window at"):
            log_mel(x, seen, **{**SETTINGS, **wrong})
