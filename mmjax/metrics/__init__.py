"""Metrics: sums that add over batches and devices, and exact ranks of a whole split."""

from mmjax.metrics.binary import binary_metrics as binary_metrics
from mmjax.metrics.calibration import CalibrationBins as CalibrationBins
from mmjax.metrics.counts import BinaryCounts as BinaryCounts
from mmjax.metrics.ranking import auroc as auroc
from mmjax.metrics.ranking import average_precision as average_precision
