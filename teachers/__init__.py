"""Teachers, one file a family."""
