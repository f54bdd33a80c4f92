"""Whole networks that are written here."""
