"""Training: state, pure step, devices, loop, checkpoints, log."""
