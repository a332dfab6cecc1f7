"""Export: a trained model as one file that JAX alone runs, on CPUs, GPUs and TPUs."""

from mmjax.export.exporting import export as export
from mmjax.export.predictor import predictor as predictor
