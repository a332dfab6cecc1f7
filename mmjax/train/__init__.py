"""Training: state, pure step, devices, loop, checkpoints, log."""

from mmjax.devices import parallel as parallel
