import numpy as np
import pytest
import sklearn.metrics

from mmjax.metrics.classification import confusion_matrix
from tests.metrics import made_up


def test_the_confusion_matrix_is_that_of_scikit_learn():
    for seed in range(8):
        logits, labels, weight = made_up.classes_split(seed)
        predicted = logits.argmax(axis=1)
        weight[:3], labels[:3] = 0.0, -1
        got = confusion_matrix(predicted, labels, weight, 7)
        expected = sklearn.metrics.confusion_matrix(
            labels[3:], predicted[3:], labels=np.arange(7), sample_weight=weight[3:]
        )
        np.testing.assert_allclose(got, expected, rtol=1e-12)
        again = confusion_matrix(predicted[::-1], labels[::-1], weight[::-1], 7)
        assert again.tobytes() == got.tobytes()


def test_a_confusion_matrix_of_wrong_classes_or_shapes_is_an_error():
    good, weight = np.array([0, 1]), np.ones(2)
    with pytest.raises(ValueError, match=r"predictions in 0\.\.1, got 2 in row 1"):
        confusion_matrix(np.array([0, 2]), good, weight, 2)
    with pytest.raises(ValueError, match=r"labels in 0\.\.1, got -1 in row 0"):
        confusion_matrix(good, np.array([-1, 2]), weight, 2)
    with pytest.raises(ValueError, match=r"predicted \(2, 1\)"):
        confusion_matrix(good[:, None], good, weight, 2)
