"""Weights: reading, publishers' files, checkpoints of others."""
