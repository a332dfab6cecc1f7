import io
import struct
import sys
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import wavfile

from mmjax.data.media import sound
from mmjax.data.media.sound import open_sound

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
    recording = open_sound(content, name="a.wav")
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
    recording = open_sound(tmp_path / "a.wav")
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
    with pytest.raises(ValueError, match=r"a\.wav: expected a WAV.* file, got"):
        open_sound(_WHOLE[:length], name="a.wav")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"RIFF", "another kind"),
        (b"no sound at all, but a text that goes on for a while", "another kind"),
        (b"RIFF\xff\xff\xff\xffAVI LIST", "another kind"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "another kind"),
        (_raw(bytes(8), bits=16, size=10), "cut short: 8 of 10 bytes"),
        (_raw(bytes(7), bits=16), "got a damaged"),
        (_raw(bytes(8), bits=16, channels=0), "got a damaged"),
        (_raw(bytes(8), bits=16, channels=65_535, rate=1), "got a damaged"),
        (_raw(bytes(8), bits=0), "got a damaged"),
        (_raw(bytes(8), bits=16, rate=0), "expected 1 to 384,000 samples/s, got 0"),
        (_raw(bytes(8), bits=16, rate=2**30), "samples/s, got 1,073,741,824"),
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
    with pytest.raises(ValueError, match=rf"a\.wav: expected a WAV.*{message}"):
        open_sound(tmp_path / "a.wav")


@settings(max_examples=300, deadline=None)
@given(place=st.integers(0, 60), value=st.binary(min_size=1, max_size=4))
def test_whatever_a_header_says_is_read_or_refused(place, value):
    content = _WHOLE[:place] + value + _WHOLE[place + len(value) :]
    try:
        recording = open_sound(content, name="a.wav")
    except ValueError as error:
        assert str(error).startswith("a.wav: ")
    else:
        assert np.isfinite(recording.samples).all() and recording.samples.size <= 2 * 400


def test_a_large_file_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    (tmp_path / "a.wav").write_bytes(_WHOLE)
    monkeypatch.setattr(sound, "BYTE_LIMIT", 500)
    monkeypatch.setattr(wavfile, "read", None)
    with pytest.raises(ValueError, match=r"a\.wav: .* at most 500 bytes, got a larger one"):
        open_sound(tmp_path / "a.wav")
    with pytest.raises(FileNotFoundError, match=r"b\.wav: expected a WAV, .* got no file at all"):
        open_sound(tmp_path / "b.wav")


_LEVELS = np.arange(1, 60, dtype="<i2")


@pytest.mark.parametrize("size", [0, 0x7FFFF000, 2**31, 2**32 - 1, 2**32 - 37])
@pytest.mark.parametrize("channels", [1, 2])
def test_the_sound_of_a_stream_is_read_to_the_end_of_the_file(size, channels):
    """As ffmpeg, SoX and arecord write into a pipe: the size of the samples is not known yet."""
    content = _raw(_LEVELS.tobytes(), bits=16, size=size, channels=channels)
    expected = _LEVELS[: 59 // channels * channels] / 2**15
    np.testing.assert_allclose(_decoded(content).ravel(), expected)
    if channels == 1:  # half a sample, and the header's own size is not known either
        np.testing.assert_allclose(_decoded(content[:-1]), expected[:-1])
        cut = content[:4] + struct.pack("<I", size) + content[8:]
        np.testing.assert_allclose(_decoded(cut), expected)


def test_a_stream_of_silence_is_read():
    assert len(_decoded(_raw(bytes(800), bits=16, size=0))) == 400


@pytest.mark.parametrize("after", [b"", b"LIST\4\0\0\0abcd", b"id3 \1\0\0\0a\0LIST\0\0\0\0"])
def test_an_empty_recording_is_no_stream(after):
    assert len(_decoded(_raw(b"", bits=16, after=after))) == 0


def _by_libsndfile(samples, kind, subtype=None):
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, samples, 8000, format=kind, subtype=subtype)
    return file.getvalue()


_LONG = (np.sin(np.arange(4000) / 9) / 2).astype(np.float32)
_CODECS = [("WAV", "ULAW"), ("WAV", "ALAW"), ("WAVEX", "ULAW"), ("FLAC", None)]
_CODECS += [("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", None)]


@pytest.mark.parametrize(("kind", "subtype"), _CODECS)
@pytest.mark.parametrize("channels", [1, 2])
def test_compressed_sounds_are_read(kind, subtype, channels):
    samples = _LONG if channels == 1 else np.stack([_LONG, -_LONG], axis=1)
    content = _by_libsndfile(samples, kind, subtype)
    found = open_sound(content)
    assert found.samples.dtype == np.float32 and found.sample_rate == 8000
    np.testing.assert_allclose(found.samples, samples, atol=0.08)
    part = open_sound(content, reach=lambda rate: rate // 80)
    np.testing.assert_allclose(part.samples, found.samples[:100], atol=1e-6)


@pytest.mark.parametrize("kind", ["FLAC", "OGG", "MP3"])
def test_a_compressed_sound_cut_short_is_named(kind):
    content = _by_libsndfile(_LONG, kind)
    for length in (20, len(content) // 2, len(content) - 3):
        with pytest.raises(ValueError, match=r"^b: expected an? .* file, got a damaged"):
            open_sound(content[:length], name="b")


def test_a_mu_law_stream_is_read():
    levels = np.arange(256, dtype=np.uint8).tobytes()
    content = _raw(levels, bits=8, tag=7, size=2**32 - 1)
    found = open_sound(content).samples
    assert len(found) == 256 and found[0] == pytest.approx(-0.98, abs=0.01)  # G.711: -32124
    np.testing.assert_allclose(found[:128], -found[128:], atol=1e-6)


def test_only_compressed_sounds_need_the_package(monkeypatch):
    flac = _by_libsndfile(_LONG, "FLAC")
    monkeypatch.setitem(sys.modules, "soundfile", None)
    assert len(open_sound(_WHOLE).samples) == 400
    for content, kind in [(flac, "FLAC"), (_raw(bytes(8), bits=8, tag=7), r"WAV \(codec 7\)")]:
        with pytest.raises(ImportError, match=rf"^b: {kind} files need .* 'mmjax\[audio\]'"):
            open_sound(content, name="b")


def test_silence_that_unpacks_to_more_than_the_limit_is_refused(monkeypatch):
    monkeypatch.setattr(sound, "SAMPLE_LIMIT", 3999)
    content = _by_libsndfile(_LONG, "FLAC")
    with pytest.raises(ValueError, match="at most 3,999 samples, got more"):
        open_sound(content)
    assert len(open_sound(content, reach=lambda _: 3999).samples) == 3999


def test_a_text_that_begins_with_a_mark_of_utf_16_is_no_sound():
    with pytest.raises(ValueError, match="got a file of another kind"):
        open_sound("\ufeffwords".encode("utf-16-le"))
