"""Objectives: `(name, outputs, batch) -> {"loss": WeightedMean, ...}`, divided at the very end."""

from mmjax.objectives.binary_cross_entropy import BinaryCrossEntropy as BinaryCrossEntropy
from mmjax.objectives.objective import Objective as Objective

OBJECTIVES = {"binary_cross_entropy": BinaryCrossEntropy}
