"""Fair comparison of knowledge-distillation methods for dense prediction."""

__version__ = "0.1.0"

NUMERICS = 1
"""Raised whenever a change to the harness itself moves a score; part of every cell's key."""
