import gzip
import shutil
import socket
import struct
import threading
import time
import urllib.error
import urllib.request

import numpy as np
import pytest
import tensorflow_datasets as tfds
from tensorflow_datasets.core import registered

from mmjax.data.datasets import FashionMatch, MnistMatch
from mmjax.data.datasets.mnist import FILES, FashionMnist, IdxBuilder, Mnist, _probe

_BOTH = [(MnistMatch, Mnist, "mnist"), (FashionMatch, FashionMnist, "fashion_mnist")]


@pytest.mark.parametrize(("config", "builder", "folder"), _BOTH)
def test_missing_files_are_all_named_at_once(tmp_path, config, builder, folder):
    first, *others = FILES
    manual = tmp_path / "manual"
    manual.mkdir()
    (manual / first).touch()
    start = time.monotonic()
    with pytest.raises(FileNotFoundError) as error:
        config(data_dir=str(tmp_path), manual_dir=str(manual)).prepare()
    assert time.monotonic() - start < 5
    assert f"got no {', '.join(others)}" in str(error.value)
    assert str(manual) in str(error.value)
    assert builder.URL in str(error.value)


@pytest.mark.parametrize(("config", "builder", "folder"), _BOTH)
def test_without_a_network_the_error_says_which_files_to_put_in_place(
    tmp_path, monkeypatch, config, builder, folder
):
    def unknown_host(*_, **__):
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr(urllib.request, "urlopen", unknown_host)
    with pytest.raises(ConnectionError) as error:
        config(data_dir=str(tmp_path)).prepare()
    for part in (*FILES, builder.URL, "--data.manual-dir", "Name or service not known"):
        assert part in str(error.value)


def test_a_silent_host_is_given_up_after_a_few_seconds(monkeypatch):
    monkeypatch.setattr("mmjax.data.datasets.mnist._PROBE_SECONDS", 0.3)
    ended = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: ended.wait(20) and [])
    start = time.monotonic()
    failure = _probe("http://silent.invalid/file.gz")
    ended.set()
    assert failure == "http://silent.invalid/file.gz: no answer in 0.3 s"
    assert time.monotonic() - start < 3


def test_a_host_that_answers_is_asked_for_the_files(tmp_path, monkeypatch):
    class Answer:
        __enter__ = __exit__ = lambda *_: None

    class Downloads(tfds.download.DownloadManager):
        def download(self, url):
            return tmp_path / url.rsplit("/", 1)[1]

    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: Answer())
    files = Mnist(data_dir=str(tmp_path))._downloaded(Downloads(download_dir=tmp_path))
    assert files == [tmp_path / name for name in FILES]


def test_the_files_of_another_data_set_under_the_same_names_are_refused(tmp_path, real_files):
    manual = tmp_path / "manual"
    shutil.copytree(real_files / "mnist", manual)
    name = "train-labels-idx1-ubyte.gz"
    shutil.copy(real_files / "fashion_mnist" / name, manual / name)
    with pytest.raises(ValueError, match=rf"manual/{name}: expected content with the sha256 65a5"):
        MnistMatch(data_dir=str(tmp_path), manual_dir=str(manual)).prepare()
    assert not (tmp_path / "mmjax_mnist" / "1.0.0").exists()


@pytest.mark.parametrize(("config", "builder", "folder"), _BOTH)
def test_the_official_files_become_three_splits_in_their_order(
    tmp_path, real_files, config, builder, folder
):
    data = config(data_dir=str(tmp_path), manual_dir=str(real_files / folder))
    official = {}
    for name in FILES:
        content = gzip.decompress((real_files / folder / name).read_bytes())
        axes = content[3]
        shape = struct.unpack(f">{axes}I", content[4 : 4 + 4 * axes])
        official[name] = np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape)
    images, labels, test_images, test_labels = official.values()
    data.prepare()
    for split, (x, y) in {
        "train": (images[:55_000], labels[:55_000]),
        "validation": (images[55_000:], labels[55_000:]),
        "test": (test_images, test_labels),
    }.items():
        found_x, found_y = data.columns(split)
        np.testing.assert_array_equal(found_x[..., 0], x)
        np.testing.assert_array_equal(found_y, y)
    info = builder(data_dir=str(tmp_path)).info
    assert info.features["label"].names == list(builder.CLASSES)
    for text in (info.description, info.citation, info.homepage, info.redistribution_info.license):
        assert text


def test_what_they_share_is_no_data_set_of_its_own():
    assert registered._DATASET_REGISTRY[Mnist.name] is Mnist
    assert IdxBuilder not in registered._DATASET_REGISTRY.values()
