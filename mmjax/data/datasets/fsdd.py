"""The Free Spoken Digit Dataset: Jackson et al. 2018, doi:10.5281/zenodo.1342401

https://github.com/Jakobovski/free-spoken-digit-dataset
"""

import hashlib
import re
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from mmjax.data.datasets.builder import Builder
from mmjax.data.media.sound import open_sound
from mmjax.errors import MissingFileError, UserError

# The index of a recording among those of a speaker and digit; 0 to 4 are the official test split.
_SPLITS = {"train": range(10, 50), "validation": range(5, 10), "test": range(5)}
_MEMBER = re.compile(r"(?:[^/]+/)*recordings/((\d)_([a-z]+)_(\d+)\.wav)")
_MEMBER_LIMIT = 1_000_000  # bytes of a recording; the longest has 37,000


class Fsdd(Builder):
    """Reads one archive in `manual_dir`; nothing is downloaded."""

    name = "mmjax_fsdd"
    DESCRIPTION = (
        "3,000 recordings of the ten digits in English by 6 people, 50 of each digit by each, "
        "8,000 samples a second. Test is the official one, the indices 0 to 4; validation has 5 to "
        "9 and train the others. Every speaker is in each."
    )
    HOMEPAGE = "https://github.com/Jakobovski/free-spoken-digit-dataset"
    CITATION = """@misc{jackson2018fsdd, year = {2018}, doi = {10.5281/zenodo.1342401},
  author = {Jackson, Zohar and Souza, C{\\'e}sar and Flaks, Jason and Pan, Yuxin and
            Nicolas, Hereman and Thite, Adhish},
  title = {Jakobovski/free-spoken-digit-dataset: v1.0.8}}"""
    LICENSE = "CC BY-SA 4.0"
    FILE = "free-spoken-digit-dataset.tar.gz"
    SHA256 = "6b1a8e30f4df78a933fe25cf1ca0140c8c6f169c0a83649a15b70a5ae7407014"
    """Checksum of names and content of the recordings in alphabetical order, not of the archive."""
    SAMPLE_RATE = 8000  # Hz

    def features(self) -> dict[str, Any]:
        """The samples, the speaker and the index of the recording."""
        return {
            # TFDS's own feature for audio needs TensorFlow.
            "audio": tfds.features.Tensor(shape=(None,), dtype=np.int16, encoding="zlib"),
            "speaker": tfds.features.Text(),
            "index": np.int64,
        }

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator]:
        path = self._manual_path() / self.FILE
        if self._manual_dir is None or not path.is_file():
            raise MissingFileError(
                f"--data.manual-dir {self._manual_dir or 'is not given'}: expected the folder with "
                f"{self.FILE}, an archive of the 3,000 recordings of {self.HOMEPAGE}"
            )
        recordings = _recordings(path)
        digest = hashlib.sha256()
        for name, content in recordings.items():
            digest.update(name.encode() + b"\0" + content)
        if digest.hexdigest() != self.SHA256:
            raise UserError(
                f"{path}: expected recordings with the sha256 {self.SHA256}, got "
                f"{len(recordings):,} with {digest.hexdigest()}: another file under this name, "
                "another version, or a damaged one"
            )
        return {
            split: self._generate_examples(path, recordings, indices)
            for split, indices in _SPLITS.items()
        }

    def _generate_examples(
        self, path: Path, recordings: dict[str, bytes], indices: range
    ) -> Iterator:
        for name, content in recordings.items():
            digit, speaker, index = name.removesuffix(".wav").split("_")
            if int(index) not in indices:
                continue
            recording = open_sound(content, name=f"{path}: {name}")
            if recording.sample_rate != self.SAMPLE_RATE or recording.samples.ndim != 1:
                raise UserError(f"{path}: {name}: expected one channel at {self.SAMPLE_RATE} Hz")
            audio = np.rint(recording.samples * 32768).astype(np.int16)
            yield (
                name,
                {"audio": audio, "label": int(digit), "speaker": speaker, "index": int(index)},
            )


def _recordings(path: Path) -> dict[str, bytes]:
    """{file name: content} in alphabetical order, read in memory: nothing is extracted."""
    found = {}
    try:
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                matched = _MEMBER.fullmatch(member.name)
                if not matched or not member.isfile():
                    continue
                if member.size > _MEMBER_LIMIT:
                    raise UserError(
                        f"{path}: {matched[1]}: expected a recording of at most "
                        f"{_MEMBER_LIMIT:,} bytes, got {member.size:,}"
                    )
                file = archive.extractfile(member)
                found[matched[1]] = file.read() if file else b""
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise UserError(f"{path}: expected a whole tar.gz archive, got {error}") from error
    return dict(sorted(found.items()))
