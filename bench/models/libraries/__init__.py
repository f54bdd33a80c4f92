"""Models that other libraries build."""
