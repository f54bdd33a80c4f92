"""A trained student put to use."""
