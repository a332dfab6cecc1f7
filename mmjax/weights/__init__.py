"""Published weights: where each tensor of a well-known file belongs in our encoders."""
