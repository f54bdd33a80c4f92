"""Datasets, transforms and the sampling of batches."""
