"""Confusion matrix of classes."""

import numpy as np
from jaxtyping import Float, Shaped

from mmjax.metrics.examples import counted_classes
from mmjax.types import AnyArray


def confusion_matrix(
    logits: Shaped[AnyArray, "..."],
    labels: Shaped[AnyArray, "..."],
    weight: Shaped[AnyArray, "..."],
) -> Float[np.ndarray, "class class"]:
    """Summed weight by label (row) and predicted class (column).

    Arguments, the predicted class and errors are those of `classification_metrics`.
    """
    logits, labels, weight = counted_classes(logits, labels, weight)
    classes = logits.shape[1]
    place = labels * classes + logits.argmax(axis=1)
    order = np.argsort(weight)  # the sums have the same bits for every order of the examples
    sums = np.bincount(place[order], weight[order], classes**2)
    return sums.reshape(classes, classes)
