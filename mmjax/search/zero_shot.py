"""Zero-shot classification: the class whose name is nearest, CLIP, arXiv:2103.00020."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.special

from mmjax.data.preprocessing import Preprocessing
from mmjax.data.transforms.text import TextTransform
from mmjax.errors import UserError
from mmjax.search.embedder import Embedder

NAME = "class"


class ZeroShot:
    """A dual encoder that says which of some classes an example is; called like `Predictor`.

    p = softmax(scale cosines) with the learned scale. The vector of a class is the mean over
    templates of the vectors of its prompts; of an example, the mean over its other modalities.
    """

    def __init__(
        self,
        run: str | Path,
        classes: Sequence[str],
        templates: Sequence[str] = ("{}",),
        checkpoint: str = "last",
    ) -> None:
        """Templates hold `{}` in the place of the class, such as "a photo of a {}".

        Raises:
            UserError: under two classes, a class twice, one of unknown words only, or a template
                without its place.
        """
        if len(classes) < 2 or len(set(classes)) < len(classes):
            raise UserError(f"--classes: expected two or more different ones, got {list(classes)}")
        wrong = [one for one in templates if "{}" not in one]
        if wrong or not templates:
            raise UserError(f"--templates: expected {{}} in each, got {wrong or 'none'}")
        self._embedder = Embedder(run, checkpoint)
        self._text = self._embedder.only(TextTransform)
        others = dict(self._embedder.preprocessing.transforms)
        del others[self._text]
        self.preprocessing, self.columns = Preprocessing(others), self._embedder.columns
        self.classes = tuple(classes)
        vectors = [
            self._embedder(
                self._text,
                [self._embedder.read(self._text, one.replace("{}", name)) for one in templates],
            ).mean(axis=0)
            for name in classes
        ]
        self._vectors = np.stack([_unit(vector) for vector in vectors])

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, dict[str, Any]]]:
        """{"class": {"value": name, "probability": p, "probabilities": {name: p}}} of each row.

        Of a row without any modality all classes are equally probable.
        """
        total: Any = 0.0
        for name in self.preprocessing.transforms:
            total = total + self._embedder(name, [row.get(name) for row in rows])
        cosines = np.stack([_unit(vector) for vector in total]) @ self._vectors.T
        p = scipy.special.softmax(self._embedder.scale * cosines, axis=1)
        return [
            {
                NAME: {
                    "value": self.classes[int(np.argmax(one))],
                    "probability": float(np.max(one)),
                    "probabilities": dict(zip(self.classes, one.tolist(), strict=True)),
                }
            }
            for one in p
        ]


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / max(float(np.linalg.norm(vector)), 1e-6)
