"""Evaluation of finished runs: metrics, predictions, costs."""
