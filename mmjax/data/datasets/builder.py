"""The base class of the data sets that TFDS prepares."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

DIGITS = tuple(str(digit) for digit in range(10))


class Builder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Labelled examples; `manual_dir` is a folder with the original files, for those that have any.

    Subclasses are called "mmjax_...", because TFDS has builders of other formats for some of them.
    """

    VERSION = tfds.core.Version("1.0.0")
    DESCRIPTION: ClassVar[str]
    HOMEPAGE: ClassVar[str]
    CITATION: ClassVar[str]  # BibTeX
    LICENSE: ClassVar[str]
    CLASSES: ClassVar[tuple[str, ...]] = DIGITS

    def __init__(self, *, manual_dir: str | os.PathLike[str] | None = None, **options: str | None):
        self._manual_dir = manual_dir
        super().__init__(**options)

    def features(self) -> dict[str, Any]:
        """The features of an example beside its label."""
        raise NotImplementedError

    def _info(self) -> tfds.core.DatasetInfo:
        features = self.features()
        features["label"] = tfds.features.ClassLabel(names=list(self.CLASSES))
        return tfds.core.DatasetInfo(
            builder=self,
            description=self.DESCRIPTION,
            features=tfds.features.FeaturesDict(features),
            supervised_keys=(next(iter(features)), "label"),
            homepage=self.HOMEPAGE,
            citation=self.CITATION,
            license=self.LICENSE,
            disable_shuffling=True,
        )

    def _manual_path(self) -> Path:
        return Path(self._manual_dir or ".").expanduser()


class ImageBuilder(Builder, skip_registration=True):
    """Grey images uint8 `[height, width, 1]` and their labels."""

    SIDE: ClassVar[int]  # height and width

    def features(self) -> dict[str, Any]:
        """One image."""
        shape = (self.SIDE, self.SIDE, 1)
        return {"image": tfds.features.Tensor(shape=shape, dtype=np.uint8, encoding="bytes")}

    def _generate_examples(self, images: np.ndarray, labels: np.ndarray) -> Iterator:
        for key, (image, label) in enumerate(zip(images, labels, strict=True)):
            yield key, {"image": image.reshape(self.SIDE, self.SIDE, 1), "label": int(label)}
