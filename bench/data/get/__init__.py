"""Getting published datasets."""
