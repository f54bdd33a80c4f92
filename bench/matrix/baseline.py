"""The name of the method that every gain is measured against."""

BASELINE = "none"
