"""What MNIST and its relatives have in common: four IDX files, 60,000 + 10,000 grey images."""

import os
import threading
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds

from mmjax.data.datasets.idx import read_idx
from mmjax.errors import DisconnectedError, MissingFileError

_TRAIN = 55_000  # of the 60,000; the others are the validation split
_PROBE_SECONDS = 4.0


class IdxBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Takes the files from `manual_dir` where one is given, else from the data set's own home."""

    TITLE: ClassVar[str]
    URL: ClassVar[str]
    """Of the folder that holds the files."""
    SHA256: ClassVar[Mapping[str, str]]
    """Of the content of each file: train and test images and labels, in this order.

    Not of the gzip files: mirrors compress anew. TFDS checks those that it downloads itself.
    """
    CLASSES: ClassVar[tuple[str, ...]]
    HOMEPAGE: ClassVar[str]
    CITATION: ClassVar[str]
    LICENSE: ClassVar[str]

    def __init__(self, *, manual_dir: str | os.PathLike[str] | None = None, **options: str | None):
        self._manual_dir = manual_dir
        super().__init__(**options)

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=(
                f"{self.TITLE}: 28 x 28 grey images of 10 classes. Train is the first 55,000 of "
                "the official training images, validation the last 5,000, test the official one."
            ),
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Tensor(
                        shape=(28, 28, 1), dtype=np.uint8, encoding="bytes"
                    ),
                    "label": tfds.features.ClassLabel(names=list(self.CLASSES)),
                }
            ),
            supervised_keys=("image", "label"),
            homepage=self.HOMEPAGE,
            citation=self.CITATION,
            license=self.LICENSE,
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator]:
        files = self._manual_files() if self._manual_dir else self._downloaded(dl_manager)
        images, labels, test_images, test_labels = (
            read_idx(files[name], sha256=sha256) for name, sha256 in self.SHA256.items()
        )
        return {
            "train": self._generate_examples(images[:_TRAIN], labels[:_TRAIN]),
            "validation": self._generate_examples(images[_TRAIN:], labels[_TRAIN:]),
            "test": self._generate_examples(test_images, test_labels),
        }

    def _generate_examples(self, images: np.ndarray, labels: np.ndarray) -> Iterator:
        for key, (image, label) in enumerate(zip(images, labels, strict=True)):
            yield key, {"image": image[:, :, None], "label": int(label)}

    def _manual_files(self) -> dict[str, Path]:
        folder = Path(self._manual_dir or ".").expanduser()
        files = {name: folder / name for name in self.SHA256}
        absent = [name for name, path in files.items() if not path.is_file()]
        if absent:
            raise MissingFileError(
                f"--data.manual-dir {folder}: expected the files of {self.TITLE}, "
                f"{', '.join(self.SHA256)}, got no {', '.join(absent)}; they are at {self.URL}"
            )
        return files

    def _downloaded(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Path]:
        urls = {name: self.URL + name for name in self.SHA256}
        failure = _probe(next(iter(urls.values())))
        if failure:
            raise DisconnectedError(
                f"{self.TITLE} is not prepared in {self._data_dir_root} and cannot be downloaded: "
                f"{failure}. Put {', '.join(urls)} from {self.URL} into a folder of your choice "
                "and name it with --data.manual-dir"
            )
        return {name: Path(dl_manager.download(url)) for name, url in urls.items()}


def _probe(url: str) -> str | None:
    """Why the address cannot be read; None if it can. TFDS itself tries for minutes."""
    failure: list[str | None] = [f"{url}: no answer in {_PROBE_SECONDS:g} s"]

    def ask() -> None:
        try:
            request = urllib.request.Request(url, method="HEAD")
            with urllib.request.urlopen(request, timeout=_PROBE_SECONDS):
                failure[0] = None
        except (OSError, ValueError) as error:
            failure[0] = f"{url}: {error}"

    # In a thread, because no timeout covers the look-up of a host's name.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(_PROBE_SECONDS)
    return failure[0]
