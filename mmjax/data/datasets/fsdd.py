"""The Free Spoken Digit Dataset: Jackson et al. 2018, doi:10.5281/zenodo.1342401

https://github.com/Jakobovski/free-spoken-digit-dataset
"""

import hashlib
import os
import re
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds

from mmjax.data.transforms.audio import decode_audio
from mmjax.errors import MissingFileError, UserError

# One index a recording of each speaker and digit; 0 to 4 are the official test split.
_SPLITS = {"train": range(10, 50), "validation": range(5, 10), "test": range(5)}
_MEMBER = re.compile(r"(?:[^/]+/)*recordings/((\d)_([a-z]+)_(\d+)\.wav)")
_MEMBER_LIMIT = 1_000_000  # bytes of a recording; the longest has 37,000


class Fsdd(tfds.core.GeneratorBasedBuilder):
    """Takes its one file from `manual_dir`."""

    name = "mmjax_fsdd"
    VERSION = tfds.core.Version("1.0.0")
    HOMEPAGE = "https://github.com/Jakobovski/free-spoken-digit-dataset"
    FILE = "free-spoken-digit-dataset.tar.gz"
    SHA256: ClassVar[str] = "6b1a8e30f4df78a933fe25cf1ca0140c8c6f169c0a83649a15b70a5ae7407014"
    """Of the names and the content of the recordings in alphabetical order.

    Not of the file: every archive is packed anew, GitHub's own too.
    """
    SAMPLE_RATE = 8000

    def __init__(self, *, manual_dir: str | os.PathLike[str] | None = None, **options: str | None):
        self._manual_dir = manual_dir
        super().__init__(**options)

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=(
                "3,000 recordings of the ten digits in English by 6 people, 50 of each digit by "
                "each, 8,000 samples a second. Test is the official one, the indices 0 to 4; "
                "validation has 5 to 9 and train the others. Every speaker is in each."
            ),
            features=tfds.features.FeaturesDict(
                {
                    # TFDS's own feature for audio needs TensorFlow.
                    "audio": tfds.features.Tensor(shape=(None,), dtype=np.int16, encoding="zlib"),
                    "label": tfds.features.ClassLabel(names=[str(digit) for digit in range(10)]),
                    "speaker": tfds.features.Text(),
                    "index": np.int64,
                }
            ),
            supervised_keys=("audio", "label"),
            homepage=self.HOMEPAGE,
            citation="""@misc{jackson2018fsdd,
  author = {Jackson, Zohar and Souza, C{\\'e}sar and Flaks, Jason and Pan, Yuxin and
            Nicolas, Hereman and Thite, Adhish},
  title  = {Jakobovski/free-spoken-digit-dataset: v1.0.8},
  year   = {2018},
  doi    = {10.5281/zenodo.1342401},
}""",
            license="CC BY-SA 4.0",
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator]:
        path = self._file()
        recordings = _recordings(path)
        found = hashlib.sha256()
        for name, content in recordings.items():
            found.update(name.encode() + b"\0" + content)
        if found.hexdigest() != self.SHA256:
            raise UserError(
                f"{path}: expected recordings with the sha256 {self.SHA256}, got "
                f"{len(recordings):,} with {found.hexdigest()}: another file under this name, "
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
            recording = decode_audio(content, name=f"{path}: {name}")
            if recording.sample_rate != self.SAMPLE_RATE or recording.samples.ndim != 1:
                raise UserError(f"{path}: {name}: expected one channel at {self.SAMPLE_RATE} Hz")
            audio = np.rint(recording.samples * 32768).astype(np.int16)
            yield (
                name,
                {"audio": audio, "label": int(digit), "speaker": speaker, "index": int(index)},
            )

    def _file(self) -> Path:
        folder = Path(self._manual_dir or ".").expanduser()
        path = folder / self.FILE
        if self._manual_dir is None or not path.is_file():
            raise MissingFileError(
                f"--data.manual-dir {self._manual_dir or 'is not given'}: expected the folder with "
                f"{self.FILE}, an archive of the 3,000 recordings of {self.HOMEPAGE}"
            )
        return path


def _recordings(path: Path) -> dict[str, bytes]:
    """{file name: content} in alphabetical order, read in memory: nothing is ever extracted."""
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
