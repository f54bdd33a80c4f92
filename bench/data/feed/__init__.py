"""Batches: decoded pixels, augmentation, loading."""
