"""What stands in for a missing modality: `({modality: Tokens}, *, train) -> {modality: Tokens}`."""

from mmjax.missing.generated import Generated as Generated
from mmjax.missing.learned import Learned as Learned
from mmjax.missing.mask import Mask as Mask
from mmjax.missing.mean import TrainingMean as TrainingMean

MISSING = {"mask": Mask, "learned": Learned, "mean": TrainingMean, "generated": Generated}
