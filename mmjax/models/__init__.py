"""Models: encoders, fusion and heads as one linen module, and the state of their training."""
