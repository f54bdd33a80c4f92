"""Threads for reading files, which wait for the disk or decode outside of Python's lock."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor


def reading_threads() -> ThreadPoolExecutor:
    """Return a new pool of as many threads as reading and decoding files gains by."""
    return ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1))
