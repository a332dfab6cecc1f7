"""Tokens and masks: masking, pooling, embeddings, modalities in order."""
