"""Metrics of a split, exact and independent of its order."""

from mmjax.metrics.binary import binary_metrics as binary_metrics
from mmjax.metrics.calibration import calibration_error as calibration_error
from mmjax.metrics.classification import classification_metrics as classification_metrics
from mmjax.metrics.classification import confusion_matrix as confusion_matrix
from mmjax.metrics.ranking import auroc as auroc
from mmjax.metrics.ranking import average_precision as average_precision
from mmjax.metrics.regression import regression_metrics as regression_metrics
from mmjax.metrics.sentiment import sentiment_metrics as sentiment_metrics
