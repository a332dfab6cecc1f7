"""Training: the pure step, and the loop around it."""
