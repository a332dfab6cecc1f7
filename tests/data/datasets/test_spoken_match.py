import hashlib
import io
import tarfile
import wave

import numpy as np
import pytest

from mmjax.data.datasets import SpokenMatch
from mmjax.data.datasets.fsdd import Fsdd
from mmjax.data.pipeline.batches import eval_batches, train_batches
from mmjax.data.transforms.audio import AudioTransform

_SPEAKERS = ("ann", "bob")
_INDICES = (0, 4, 5, 9, 10, 49)  # two of each split


def _wav(samples, rate=8000):
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setparams((1, 2, rate, len(samples), "NONE", ""))
        out.writeframes(samples.astype("<i2").tobytes())
    return file.getvalue()


def _samples(digit, speaker, index):
    """Which recording it is stands in its samples."""
    return np.array([digit, _SPEAKERS.index(speaker), index] + [0] * digit, np.int16)


def _recordings():
    return {
        f"{digit}_{speaker}_{index}.wav": _wav(_samples(digit, speaker, index))
        for digit in range(10)
        for speaker in _SPEAKERS
        for index in _INDICES
    }


def _archive(folder, recordings, prefix="recordings/", others=()):
    folder.mkdir(exist_ok=True)
    with tarfile.open(folder / Fsdd.FILE, "w:gz") as archive:
        for name, content in [*others, *((prefix + n, c) for n, c in recordings.items())]:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return str(folder)


def _digest(recordings):
    content = b"".join(name.encode() + b"\0" + recordings[name] for name in sorted(recordings))
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def sha256(monkeypatch):
    monkeypatch.setattr(Fsdd, "SHA256", _digest(_recordings()))


@pytest.fixture
def data(tmp_path, sha256):
    manual = _archive(tmp_path / "manual", _recordings(), others=[("README.md", b"#")])
    return SpokenMatch(data_dir=str(tmp_path / "prepared"), manual_dir=manual)


def test_the_official_test_split_is_kept_and_every_speaker_is_in_each(data):
    data.prepare()
    found = {}
    for split in ("train", "validation", "test"):
        partners = data.partners(split)
        read = [tuple(map(int, row[:3])) for rows in partners for row in rows]
        assert [digit for digit, _, _ in read] == [
            d for d, rows in enumerate(partners) for _ in rows
        ]
        assert all(len(row) == 3 + digit for digit, rows in enumerate(partners) for row in rows)
        assert all(row.dtype == np.int16 for rows in partners for row in rows)
        assert {speaker for _, speaker, _ in read} == {0, 1}
        found[split] = {index for _, _, index in read}
        assert len(read) == 40
    assert found == {"train": {10, 49}, "validation": {5, 9}, "test": {0, 4}}
    info = Fsdd(data_dir=data.data_dir).info
    for text in (info.description, info.citation, info.homepage, info.redistribution_info.license):
        assert text


def test_the_label_says_whether_the_recording_says_the_digit_in_the_picture(data):
    data.prepare()
    for split in ("train", "test"):
        source = data.source(split)
        images, digits = data.columns(split)
        indices = np.arange(len(source))
        for rng in (None, np.random.default_rng(0)):
            examples = source.read(indices, rng)
            assert set(examples.inputs) == {"image", "speech"}
            np.testing.assert_array_equal(examples.inputs["image"], images[indices // 2])
            spoken = np.array([row[0] for row in examples.inputs["speech"]])
            same = spoken == digits[indices // 2]
            np.testing.assert_array_equal(examples.targets["match"] == 1, same)
            assert 0.45 < same.mean() < 0.55


def test_batches_are_made_of_both(data):
    data.prepare()
    preprocessing = data.preprocessing()
    assert preprocessing.transforms["speech"] == AudioTransform(sample_rate=8000, max_samples=8000)
    batches = train_batches(
        data, data.source("train"), preprocessing, batch_size=8, seed=0, start=0
    )
    batch = next(batches)
    batches.close()
    assert batch.inputs["speech"].values.shape == batch.inputs["speech"].mask.shape == (8, 8000)
    spoken = np.rint(batch.inputs["speech"].values[:, 0] * 32768)
    assert batch.inputs["speech"].mask.sum(axis=1).tolist() == (spoken + 3).tolist()
    weights = [
        b.weight.sum() for b in eval_batches(data.source("test"), preprocessing, batch_size=64)
    ]
    assert sum(weights) == len(data.source("test"))


def test_an_archive_that_was_packed_anew_holds_the_same_recordings(tmp_path, sha256):
    turned = dict(reversed(_recordings().items()))
    manual = _archive(tmp_path, turned, prefix="free-spoken-digit-dataset-1.0.10/recordings/")
    data = SpokenMatch(data_dir=str(tmp_path / "prepared"), manual_dir=manual)
    data.prepare()
    assert sum(map(len, data.partners("test"))) == 40


def _swap(recordings):
    return recordings | {"3_ann_10.wav": recordings["4_ann_10.wav"]}


@pytest.mark.parametrize(
    "change",
    [
        _swap,
        lambda recordings: {k: v for k, v in recordings.items() if k != "3_ann_10.wav"},
        lambda recordings: recordings | {"3_ann_11.wav": b""},
        lambda recordings: {},
    ],
)
def test_other_recordings_under_the_same_name_are_refused(tmp_path, sha256, change):
    manual = _archive(tmp_path / "manual", change(_recordings()))
    data = SpokenMatch(data_dir=str(tmp_path / "prepared"), manual_dir=manual)
    with pytest.raises(ValueError, match=rf"manual/{Fsdd.FILE}: expected recordings with the sha"):
        data.prepare()
    assert not (tmp_path / "prepared" / "mmjax_fsdd" / "1.0.0").exists()


@pytest.mark.parametrize("content", [b"", b"no archive", "cut"])
def test_a_damaged_archive_is_named(tmp_path, content):
    manual = _archive(tmp_path / "manual", _recordings())
    path = tmp_path / "manual" / Fsdd.FILE
    path.write_bytes(path.read_bytes()[:-200] if content == "cut" else content)
    data = SpokenMatch(data_dir=str(tmp_path / "prepared"), manual_dir=manual)
    with pytest.raises(ValueError, match=rf"{Fsdd.FILE}: expected a whole tar\.gz archive, got"):
        data.prepare()


def test_a_member_that_is_no_recording_of_the_right_kind_is_named(tmp_path, monkeypatch):
    for content, message in (
        (_wav(np.zeros(9), 16_000), "3_ann_10.wav: expected one channel at 8000 Hz"),
        (b"text", "3_ann_10.wav: expected a WAV"),
        (bytes(1_000_001), "3_ann_10.wav: expected a recording of at most"),
    ):
        recordings = _recordings() | {"3_ann_10.wav": content}
        monkeypatch.setattr(Fsdd, "SHA256", _digest(recordings))
        manual = _archive(tmp_path / "manual", recordings)
        data = SpokenMatch(data_dir=str(tmp_path / "prepared"), manual_dir=manual)
        with pytest.raises(ValueError, match=message):
            data.prepare()


def test_links_in_an_archive_are_not_followed(tmp_path, sha256):
    with tarfile.open(tmp_path / Fsdd.FILE, "w:gz") as archive:
        member = tarfile.TarInfo("recordings/3_ann_10.wav")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(member)
    with pytest.raises(ValueError, match="got 0 with"):
        SpokenMatch(data_dir=str(tmp_path / "prepared"), manual_dir=str(tmp_path)).prepare()


@pytest.mark.parametrize("manual_dir", [None, "empty"])
def test_without_the_file_the_error_says_where_to_put_it(tmp_path, manual_dir):
    manual = None if manual_dir is None else str(tmp_path / manual_dir)
    with pytest.raises(FileNotFoundError) as error:
        SpokenMatch(data_dir=str(tmp_path), manual_dir=manual).prepare()
    for part in ("--data.manual-dir", Fsdd.FILE, Fsdd.HOMEPAGE, manual or "is not given"):
        assert part in str(error.value)


def test_the_official_recordings_are_3000(tmp_path, real_files):
    data = SpokenMatch(data_dir=str(tmp_path), manual_dir=str(real_files / "fsdd"))
    data.prepare()
    sizes = [sum(map(len, data.partners(split))) for split in ("train", "validation", "test")]
    assert sizes == [2400, 300, 300]
    lengths = [len(row) for rows in data.partners("train") for row in rows]
    assert np.mean(np.array(lengths) <= data.max_samples) > 0.99
