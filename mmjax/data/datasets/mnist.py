"""The MNIST family: four IDX files each, 60,000 + 10,000 grey images of 28 x 28 pixels.

MNIST: LeCun, Cortes and Burges 1998, http://yann.lecun.com/exdb/mnist/
Fashion-MNIST: Xiao, Rasul and Vollgraf 2017, arXiv:1708.07747
"""

import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import tensorflow_datasets as tfds

from mmjax.data.datasets.builder import ImageBuilder
from mmjax.data.datasets.idx import read_idx
from mmjax.errors import DisconnectedError, MissingFileError

FILES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)
_TRAIN = 55_000  # of the 60,000 training images; the others are the validation split
_PROBE_SECONDS = 4.0
_SPLITS = (
    "28 x 28 grey images of 10 classes. Train is the first 55,000 of the official training images, "
    "validation the last 5,000, test the official one."
)


class IdxBuilder(ImageBuilder, skip_registration=True):
    """Reads the files in `manual_dir` if it is given, else downloads them."""

    URL: ClassVar[str]
    """The folder that holds the files."""
    SHA256: ClassVar[tuple[str, ...]]
    """The checksum of the content of each file, unpacked, because mirrors compress it again."""
    SIDE = 28

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator]:
        paths = self._manual_files() if self._manual_dir else self._downloaded(dl_manager)
        images, labels, test_images, test_labels = (
            read_idx(path, sha256=sha256) for path, sha256 in zip(paths, self.SHA256, strict=True)
        )
        return {
            "train": self._generate_examples(images[:_TRAIN], labels[:_TRAIN]),
            "validation": self._generate_examples(images[_TRAIN:], labels[_TRAIN:]),
            "test": self._generate_examples(test_images, test_labels),
        }

    def _manual_files(self) -> list[Path]:
        folder = self._manual_path()
        absent = [name for name in FILES if not (folder / name).is_file()]
        if absent:
            raise MissingFileError(
                f"--data.manual-dir {folder}: expected the files of {self.name}, "
                f"{', '.join(FILES)}, got no {', '.join(absent)}; they are at {self.URL}"
            )
        return [folder / name for name in FILES]

    def _downloaded(self, dl_manager: tfds.download.DownloadManager) -> list[Path]:
        failure = _probe(self.URL + FILES[0])
        if failure:
            raise DisconnectedError(
                f"{self.name} is not prepared in {self._data_dir_root} and cannot be downloaded: "
                f"{failure}. Put {', '.join(FILES)} from {self.URL} into a folder of your choice "
                "and name it with --data.manual-dir"
            )
        return [Path(dl_manager.download(self.URL + name)) for name in FILES]


def _probe(url: str) -> str | None:
    """Why the address cannot be read; None if it can. TFDS itself would try for minutes."""
    failure: list[str | None] = [f"{url}: no answer in {_PROBE_SECONDS:g} s"]

    def ask() -> None:
        try:
            request = urllib.request.Request(url, method="HEAD")
            with urllib.request.urlopen(request, timeout=_PROBE_SECONDS):
                failure[0] = None
        except (OSError, ValueError) as error:
            failure[0] = f"{url}: {error}"

    # In a thread, because no timeout covers the look-up of a host name.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(_PROBE_SECONDS)
    return failure[0]


class Mnist(IdxBuilder):
    """Handwritten digits."""

    name = "mmjax_mnist"
    URL = "https://storage.googleapis.com/cvdf-datasets/mnist/"
    SHA256 = (
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    )
    DESCRIPTION = f"MNIST: {_SPLITS}"
    HOMEPAGE = "http://yann.lecun.com/exdb/mnist/"
    LICENSE = "not stated by its source"
    CITATION = """@article{lecun1998gradient, year = {1998},
  author = {LeCun, Yann and Bottou, L{\\'e}on and Bengio, Yoshua and Haffner, Patrick},
  title = {Gradient-based learning applied to document recognition},
  journal = {Proceedings of the IEEE}, volume = {86}, number = {11}, pages = {2278--2324}}"""


class FashionMnist(IdxBuilder):
    """Clothes, shoes and bags."""

    name = "mmjax_fashion_mnist"
    URL = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
    SHA256 = (
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    )
    CLASSES = (
        *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
        *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    )
    DESCRIPTION = f"Fashion-MNIST: {_SPLITS}"
    HOMEPAGE = "https://github.com/zalandoresearch/fashion-mnist"
    LICENSE = "MIT"
    CITATION = """@article{xiao2017fashion, year = {2017}, journal = {arXiv:1708.07747},
  author = {Han Xiao and Kashif Rasul and Roland Vollgraf},
  title = {Fashion-{MNIST}: a Novel Image Dataset for Benchmarking Machine Learning Algorithms}}"""
