"""Transforms of inputs: from rows of one modality to arrays, fitted on the training split."""
