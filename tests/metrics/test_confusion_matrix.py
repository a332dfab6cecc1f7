import numpy as np
import sklearn.metrics

from mmjax.metrics import confusion_matrix
from tests.metrics import made_up


def test_the_confusion_matrix_is_that_of_scikit_learn():
    for seed in range(8):
        logits, labels, weight = made_up.classes_split(seed)
        weight[:3], labels[:3] = 0.0, -1
        got = confusion_matrix(logits, labels, weight)
        expected = sklearn.metrics.confusion_matrix(
            labels[3:], logits[3:].argmax(axis=1), labels=np.arange(7), sample_weight=weight[3:]
        )
        np.testing.assert_allclose(got, expected, rtol=1e-12)
        again = confusion_matrix(logits[::-1], labels[::-1], weight[::-1])
        assert again.tobytes() == got.tobytes()
