"""Looking into datasets, and at one's own masks."""
