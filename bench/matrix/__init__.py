"""The request: a YAML file, validated, as cells to train."""
