"""Objectives: `(outputs, batch) -> {"loss": WeightedMean, ...}`, divided at the very end."""

from mmjax.objectives.absolute_error import AbsoluteError as AbsoluteError
from mmjax.objectives.binary_cross_entropy import BinaryCrossEntropy as BinaryCrossEntropy
from mmjax.objectives.huber import Huber as Huber
from mmjax.objectives.objective import Objective as Objective
from mmjax.objectives.softmax_cross_entropy import SoftmaxCrossEntropy as SoftmaxCrossEntropy
from mmjax.objectives.squared_error import SquaredError as SquaredError

OBJECTIVES = {
    "binary_cross_entropy": BinaryCrossEntropy,
    "softmax_cross_entropy": SoftmaxCrossEntropy,
    "squared_error": SquaredError,
    "absolute_error": AbsoluteError,
    "huber": Huber,
}
