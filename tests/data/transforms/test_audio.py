import io

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.io import wavfile
from scipy.signal import resample_poly

from mmjax.data.media.sound import Recording, open_sound
from mmjax.data.preprocessing import Preprocessing
from mmjax.data.transforms.audio import AudioTransform

_TRANSFORM = AudioTransform(sample_rate=8000, max_samples=10)
_WAVE = np.sin(np.arange(400) / 7).astype(np.float32) / 2


def _wav(samples, rate=8000):
    file = io.BytesIO()
    wavfile.write(file, rate, samples)
    return file.getvalue()


def test_rows_are_cut_padded_and_masked():
    floats = np.linspace(-1, 1, 12)
    rows = [floats, np.full(3, 2**14, np.int16), None, np.zeros(0), Recording(floats[:1], 8000)]
    found = _TRANSFORM(rows)
    assert found.values.dtype == np.float32 and found.values.shape == (5, 10)
    assert found.mask.sum(axis=1).tolist() == [10, 3, 0, 0, 1]
    np.testing.assert_allclose(found.values[0], floats[:10], atol=1e-7)
    np.testing.assert_array_equal(found.values[1], [0.5] * 3 + [0] * 7)
    assert not found.values[~found.mask].any()
    assert _TRANSFORM([]).values.shape == _TRANSFORM([]).mask.shape == (0, 10)


def test_channels_are_averaged():
    stereo = np.array([[0.5, 0.0], [1.0, -1.0]])
    for row in (stereo, Recording(stereo, 8000), (stereo * 2**14).astype(np.int16)):
        values = _TRANSFORM([row]).values[0]
        np.testing.assert_allclose(values[:2] / values[0], [1, 0])


@pytest.mark.parametrize("rate", [4000, 8001, 11_025, 44_100, 192_000])
@pytest.mark.parametrize("length", [0, 1, 399])
def test_another_rate_is_resampled_and_the_cut_does_not_show(rate, length):
    transform = AudioTransform(sample_rate=8000, max_samples=50)
    samples = _WAVE[:length].astype(np.float64)
    common = np.gcd(rate, 8000)
    whole = resample_poly(samples, 8000 // common, rate // common) if length else samples
    found = transform([Recording(samples, rate)])
    assert found.mask.sum() == min(50, len(whole))
    np.testing.assert_allclose(found.values[found.mask], whole[:50], atol=1e-6)


def test_resampling_keeps_the_pitch():
    hertz = 440
    recording = Recording(np.sin(2 * np.pi * hertz * np.arange(44_100) / 44_100), 44_100)
    values = AudioTransform(sample_rate=8000, max_samples=8000)([recording]).values[0]
    assert np.abs(np.fft.rfft(values)).argmax() == hertz


def test_a_low_rate_does_not_make_a_recording_huge(monkeypatch):
    """An hour of samples at 1 Hz would be 29 million seconds at the rate of the transform."""
    given = []

    def resample(samples, up, down):
        given.append(len(samples))
        return resample_poly(samples, up, down)

    monkeypatch.setattr("scipy.signal.resample_poly", resample)
    _TRANSFORM([Recording(np.zeros(3600), 1)])
    assert given == [12]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (np.zeros(3, np.int32), "an array of floats or int16, got int32"),
        ([0.0, 1.0], "got list"),
        (np.array([np.nan]), "expected samples in -1..1, got NaN"),
        (np.array([300.0]), "expected samples in -1..1, got 300"),
        (np.zeros((2, 2, 2)), r"\[sample\] or \[sample, channel\], got \(2, 2, 2\)"),
        (np.zeros((2, 0)), r"\[sample\] or \[sample, channel\], got \(2, 0\)"),
    ],
)
def test_a_row_that_is_no_sound_is_named(row, message):
    with pytest.raises(ValueError, match=f"audio in row 1: .*{message}"):
        _TRANSFORM([None, row])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sample_rate": 0}, "sample_rate: expected 1 to 384,000 Hz, got 0"),
        ({"max_samples": 0}, "max_samples: expected 1 to 53,000,000, got 0"),
    ],
)
def test_a_transform_that_cannot_be_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        AudioTransform(**({"sample_rate": 8000, "max_samples": 10} | changes))


def test_what_was_done_to_a_recording_is_said():
    said = {
        (8000, 10): [],
        (8000, 11): ["longer than 0.00125 s, only the first 0.00125 s were read"],
        (8000, 0): ["empty"],
        (44_100, 20): ["resampled from 44,100 to 8,000 Hz"],
        (44_100, 56): [
            "resampled from 44,100 to 8,000 Hz",
            "longer than 0.00125 s, only the first 0.00125 s were read",
        ],
    }
    for (rate, length), remarks in said.items():
        assert _TRANSFORM.remarks(Recording(np.zeros(length), rate)) == remarks


def test_a_saved_transform_is_equal(tmp_path):
    Preprocessing({"speech": _TRANSFORM}).save(tmp_path)
    assert Preprocessing.load(tmp_path).transforms == {"speech": _TRANSFORM}


def test_of_a_long_recording_is_kept_what_is_heard(tmp_path):
    wave = np.sin(np.arange(90_000) / 9).astype(np.float32)
    (tmp_path / "a.wav").write_bytes(_wav(wave, 11_025))
    whole, heard = open_sound(tmp_path / "a.wav"), _TRANSFORM.read("a.wav", tmp_path)
    assert len(heard.samples) < 100
    np.testing.assert_array_equal(_TRANSFORM([heard]).values, _TRANSFORM([whole]).values)
    assert _TRANSFORM.remarks(heard) == _TRANSFORM.remarks(whole)


@pytest.mark.parametrize(
    "cell",
    [
        "a.wav",
        _wav(_WAVE),
        {"bytes": _wav(_WAVE), "path": "unknown"},
        {"bytes": None, "path": "a.wav"},
        _WAVE,
        _WAVE[:, None],
        jnp.asarray(_WAVE),
        Recording(_WAVE, 8000),
    ],
)
def test_a_cell_is_a_path_bytes_or_an_array(tmp_path, cell):
    (tmp_path / "a.wav").write_bytes(_wav(_WAVE))
    row = _TRANSFORM.read(cell, tmp_path)
    assert isinstance(row, Recording) and len(row.samples) < 50
    np.testing.assert_array_equal(_TRANSFORM([row]).values, _TRANSFORM([_WAVE]).values)


def test_int16_and_arrays_of_jax_are_rows():
    levels = (_WAVE * 2**15).astype(np.int16)
    expected = _TRANSFORM([levels]).values
    np.testing.assert_allclose(expected[0], _WAVE[:10], atol=2**-15)
    np.testing.assert_array_equal(_TRANSFORM([jnp.asarray(levels)]).values, expected)
    np.testing.assert_array_equal(_TRANSFORM(jnp.asarray(levels)[None]).values, expected)


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (3, "expected a path, the bytes of a file, {bytes, path} or an array, got int"),
        ({"bytes": b"x", "path": "y.wav"}, "^y.wav: expected a WAV, FLAC, Ogg or MP3 file, got"),
        (b"x", "^the sound: expected a WAV"),
        (np.zeros(3, np.int32), "an array of floats or int16, got int32"),
    ],
)
def test_a_cell_that_is_no_sound_is_refused(tmp_path, cell, message):
    with pytest.raises(ValueError, match=message):
        _TRANSFORM.read(cell, tmp_path)
