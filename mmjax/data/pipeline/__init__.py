"""Batches: their order, their lengths, made ahead of their use."""
