"""Alignment of sequences to a common number of steps."""
