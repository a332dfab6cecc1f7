"""The training loop around the step."""
