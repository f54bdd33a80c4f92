"""What knows nothing of the field: errors, text, names, options, files, devices."""
