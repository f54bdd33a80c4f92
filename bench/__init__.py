"""Fair comparison of knowledge-distillation methods for dense prediction."""

from bench.base import checkout

__version__ = "0.1.0"

DISTRIBUTION = "dense-kd-bench"
"""What pip calls this project; the package index has another one called ``bench``."""

NUMERICS = 1
"""Raised whenever a change to the harness itself moves a score; part of every cell's key."""

checkout.find_entries(DISTRIBUTION)
