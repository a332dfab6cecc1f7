import io
import struct
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import wavfile
from scipy.signal import resample_poly

from mmjax.data.preprocessing import Preprocessing
from mmjax.data.transforms import audio
from mmjax.data.transforms.audio import AudioTransform, Recording, decode_audio, open_audio

_TRANSFORM = AudioTransform(sample_rate=8000, max_samples=10)
_WAVE = np.sin(np.arange(400) / 7).astype(np.float32) / 2


def _wav(samples, rate=8000):
    file = io.BytesIO()
    wavfile.write(file, rate, samples)
    return file.getvalue()


def _raw(data, *, bits, channels=1, rate=8000, tag=1, size=None, before=b"", after=b""):
    """A file put together by hand: 24 bits, strange chunks and wrong sizes."""
    block = channels * bits // 8 % 2**16
    form = struct.pack("<HHIIHH", tag, channels, rate, rate * block % 2**32, block, bits)
    body = b"WAVE" + before + b"fmt " + struct.pack("<I", 16) + form
    body += b"data" + struct.pack("<I", len(data) if size is None else size) + data + after
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _decoded(content):
    recording = decode_audio(content, name="a.wav")
    assert recording.samples.dtype == np.float32
    return recording.samples


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        (np.array([0, 128, 255], np.uint8), [-1, 0, 127 / 128]),
        (np.array([-(2**15), 0, 2**15 - 1], np.int16), [-1, 0, 1 - 2**-15]),
        (np.array([-(2**31), 0, 2**30], np.int32), [-1, 0, 0.5]),
        (np.array([-1, 0.25, 1.5], np.float32), [-1, 0.25, 1.5]),
        (np.array([-1, 0.25, 1.5], np.float64), [-1, 0.25, 1.5]),
        (np.array([[0, 2**14]] * 3, np.int16), [[0, 0.5]] * 3),
        (np.zeros(0, np.int16), []),
        (np.zeros((0, 2), np.int16), np.zeros((0, 2))),
    ],
)
def test_every_kind_of_number_is_read_in_one_range(tmp_path, samples, expected):
    (tmp_path / "a.wav").write_bytes(_wav(samples, 44_100))
    recording = open_audio(tmp_path / "a.wav")
    np.testing.assert_allclose(recording.samples, expected, atol=1e-7)
    assert recording.samples.dtype == np.float32 and recording.sample_rate == 44_100


def test_24_bits_are_read():
    numbers = np.array([-(2**23), -1, 0, 2**22])
    data = b"".join(int(n).to_bytes(3, "little", signed=True) for n in numbers)
    np.testing.assert_allclose(_decoded(_raw(data, bits=24)), numbers / 2**23)
    both = _decoded(_raw(data, bits=24, channels=2))
    np.testing.assert_allclose(both, numbers.reshape(2, 2) / 2**23)


def test_chunks_that_say_nothing_about_sound_are_passed_over():
    """Programs add their name, a cover picture or a broken tail; none of it is worth a warning."""
    data = np.arange(4, dtype="<i2").tobytes()
    before = b"bext" + struct.pack("<I", 3) + b"abc\0"
    after = b"LIST" + struct.pack("<I", 10_000) + b"cut" + b"id3"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = _decoded(_raw(data, bits=16, before=before, after=after))
    np.testing.assert_allclose(found, np.arange(4) / 2**15)


_WHOLE = _wav((_WAVE * 2**15).astype(np.int16))


@pytest.mark.parametrize("length", [0, 3, 11, 12, 20, 36, 43, 44, 100, len(_WHOLE) - 1])
def test_a_file_cut_short_is_named(length):
    with pytest.raises(ValueError, match=r"a\.wav: expected a WAV file of at most .* bytes, got"):
        decode_audio(_WHOLE[:length], name="a.wav")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"RIFF", "another kind"),
        (b"no sound at all, but a text that goes on for a while", "another kind"),
        (b"RIFF\xff\xff\xff\xffAVI LIST", "another kind"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "another kind"),
        (_raw(bytes(8), bits=16, size=2**32 - 1), "8 of 4,294,967,295 bytes of b'data' are left"),
        (_raw(bytes(8), bits=16, size=10), "cut short: 8 of 10 bytes"),
        (_raw(bytes(7), bits=16), "got a damaged"),
        (_raw(bytes(8), bits=16, channels=0), "got a damaged"),
        (_raw(bytes(8), bits=16, channels=65_535, rate=1), "got a damaged"),
        (_raw(bytes(8), bits=0), "got a damaged"),
        (_raw(bytes(8), bits=16, rate=0), "expected 1 to 384,000 samples/s, got 0"),
        (_raw(bytes(8), bits=16, rate=2**30), "samples/s, got 1,073,741,824"),
        (_raw(bytes(8), bits=16, tag=7), "MULAW"),
        (_raw(bytes(8), bits=16, tag=0xFFFE), "got a damaged"),
        (_raw(bytes(8), bits=16).replace(b"data", b"dada"), "no format or no samples"),
        (_raw(bytes(8), bits=16).replace(b"fmt ", b"fmtx"), "no format or no samples"),
        (_wav(np.array([0, np.nan], np.float32)), "got NaN or infinity"),
        (_wav(np.array([0, -np.inf], np.float64)), "got NaN or infinity"),
        (_wav(np.array([0, 1e300])), "expected samples in -1..1, got 1e\\+300"),
        (_wav(np.array([0, 12_000], np.float32)), "expected samples in -1..1, got 12000"),
    ],
)
def test_what_is_no_sound_is_named(tmp_path, content, message):
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(ValueError, match=rf"a\.wav: expected a WAV file .*{message}"):
        open_audio(tmp_path / "a.wav")


@settings(max_examples=300, deadline=None)
@given(place=st.integers(0, 60), value=st.binary(min_size=1, max_size=4))
def test_whatever_a_header_says_is_read_or_refused(place, value):
    content = _WHOLE[:place] + value + _WHOLE[place + len(value) :]
    try:
        recording = decode_audio(content, name="a.wav")
    except ValueError as error:
        assert str(error).startswith("a.wav: expected a WAV file")
    else:
        assert np.isfinite(recording.samples).all() and recording.samples.size <= 2 * 400


def test_a_large_file_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    (tmp_path / "a.wav").write_bytes(_WHOLE)
    monkeypatch.setattr(audio, "BYTE_LIMIT", 500)
    monkeypatch.setattr(wavfile, "read", None)
    with pytest.raises(ValueError, match=r"a\.wav: .* at most 500 bytes, got a larger one"):
        open_audio(tmp_path / "a.wav")
    with pytest.raises(FileNotFoundError, match=r"b\.wav: expected a WAV file, got no file at all"):
        open_audio(tmp_path / "b.wav")


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
    whole, heard = open_audio(tmp_path / "a.wav"), _TRANSFORM.read("a.wav", tmp_path)
    assert len(heard.samples) < 100
    np.testing.assert_array_equal(_TRANSFORM([heard]).values, _TRANSFORM([whole]).values)
    assert _TRANSFORM.remarks(heard) == _TRANSFORM.remarks(whole)
