"""Objectives: `(outputs, batch) -> {"loss": WeightedMean, ...}`, divided at the very end."""

from mmjax.objectives.absolute_error import AbsoluteError as AbsoluteError
from mmjax.objectives.binary_cross_entropy import BinaryCrossEntropy as BinaryCrossEntropy
from mmjax.objectives.bradley_terry import BradleyTerry as BradleyTerry
from mmjax.objectives.cox import Cox as Cox
from mmjax.objectives.ctc import Ctc as Ctc
from mmjax.objectives.distillation import Distillation as Distillation
from mmjax.objectives.distillation import FeatureDistillation as FeatureDistillation
from mmjax.objectives.huber import Huber as Huber
from mmjax.objectives.info_nce import InfoNce as InfoNce
from mmjax.objectives.objective import Objective as Objective
from mmjax.objectives.occupancy import OccupancyCrossEntropy as OccupancyCrossEntropy
from mmjax.objectives.pairwise_sigmoid import PairwiseSigmoid as PairwiseSigmoid
from mmjax.objectives.path_error import PathError as PathError
from mmjax.objectives.relation_distillation import RelationDistillation as RelationDistillation
from mmjax.objectives.softmax_cross_entropy import SoftmaxCrossEntropy as SoftmaxCrossEntropy
from mmjax.objectives.squared_error import SquaredError as SquaredError
from mmjax.objectives.text_cross_entropy import TextCrossEntropy as TextCrossEntropy
from mmjax.objectives.triplet import Triplet as Triplet

OBJECTIVES = {
    "binary_cross_entropy": BinaryCrossEntropy,
    "softmax_cross_entropy": SoftmaxCrossEntropy,
    "squared_error": SquaredError,
    "absolute_error": AbsoluteError,
    "huber": Huber,
    "info_nce": InfoNce,
    "pairwise_sigmoid": PairwiseSigmoid,
    "triplet": Triplet,
    "bradley_terry": BradleyTerry,
    "text_cross_entropy": TextCrossEntropy,
    "ctc": Ctc,
    "cox": Cox,
    "occupancy_cross_entropy": OccupancyCrossEntropy,
    "path_error": PathError,
    "distillation": Distillation,
    "feature_distillation": FeatureDistillation,
    "relation_distillation": RelationDistillation,
}
