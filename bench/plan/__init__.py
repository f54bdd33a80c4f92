"""Cells with their state, groups, and what is needed first."""
