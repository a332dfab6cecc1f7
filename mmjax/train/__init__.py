"""Training: state, pure step, devices, loop, checkpoints, log."""

from mmjax.train import parallel as parallel
