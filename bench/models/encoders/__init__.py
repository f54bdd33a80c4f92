"""Encoders that are written here."""
