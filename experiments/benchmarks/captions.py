"""MNIST and Fashion-MNIST match, prepared, as ours reads them; PyTorch's is in captions_peer.py."""

from collections.abc import Generator
from pathlib import Path
from typing import Any

import made_up

import mmjax
from mmjax import errors
from mmjax.data.pipeline.batches import held, train_batches, train_rows

DATA = {"fashion_mnist": mmjax.data.FashionMatch, "mnist": mmjax.data.MnistMatch}


class NoFiles(Exception):
    """The data set is not prepared, and there are no files to prepare it from."""


class Task:
    """One of the data sets; prepared where it is not yet, from the folder of its name.

    Raises:
        NoFiles: it cannot be prepared.
    """

    def __init__(self, name: str, manual_dir: str | None, data_dir: str | None) -> None:
        files = None if manual_dir is None else str(Path(manual_dir) / name)
        self.data = DATA[name](manual_dir=files, data_dir=data_dir)
        try:
            self.data.prepare()
        except (errors.DisconnectedError, errors.MissingFileError) as error:
            where = f" in {files}" if files else ""
            raise NoFiles(f"no {name} files{where} (--manual-dir)") from error
        self.preprocessing = self.data.preprocessing()
        self.source = self.data.source("train")

    def batches(self, seed: int = 0) -> Generator[Any, None, None]:
        """Ours, without end."""
        return train_batches(
            self.data, self.source, self.preprocessing,
            batch_size=made_up.BATCH, seed=seed, start=0,
        )  # fmt: skip

    def indices(self, seed: int = 0) -> Generator[Any, None, None]:
        """The same batches as indices of `rows`, which the device holds."""
        return train_rows(
            self.source, self.preprocessing, batch_size=made_up.BATCH, seed=seed, start=0
        )

    def rows(self) -> dict[str, Any]:
        """Every image and every caption, as our encoders get them."""
        found = held(self.data, self.source, self.preprocessing)
        assert found is not None
        return dict(found)
