"""Image and label files."""
