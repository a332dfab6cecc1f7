"""Imputation of missing modalities: `({modality: Tokens}, train) -> {modality: Tokens}`."""

from mmjax.imputation.generated import Generated as Generated
from mmjax.imputation.learned import Learned as Learned
from mmjax.imputation.mask import Mask as Mask
from mmjax.imputation.mean import TrainingMean as TrainingMean

IMPUTATIONS = {"mask": Mask, "learned": Learned, "mean": TrainingMean, "generated": Generated}
