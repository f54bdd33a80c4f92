"""Correction for several tests at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def holm(p_values: Sequence[float | None], family: int = 0) -> list[float | None]:
    """Return Holm-Bonferroni adjusted p-values.

    With the m p-values in ascending order, the adjusted one at rank i (from 1) is
    ``max over j <= i of min(1, (m - j + 1) * p_j)``; rejecting where it is at most alpha keeps the probability of any
    false rejection at most alpha, however the tests depend on each other.
    Source: S. Holm, "A simple sequentially rejective multiple test procedure", Scand. J. Statist. 6 (1979) 65-70.

    Args:
        p_values: in 0..1; None where there was no test, which is not counted and stays None.
        family: hypotheses to correct for, where some of them may have had no test yet; at least the tests there are.

    Returns:
        Adjusted values in the order given.

    Raises:
        ValueError: a value is not in 0..1.
    """
    tested = [position for position, p in enumerate(p_values) if p is not None]
    raw = np.array([p_values[position] for position in tested], dtype=float)
    if not ((raw >= 0) & (raw <= 1)).all():
        raise ValueError("p-values are not in 0..1")
    order = np.argsort(raw, kind="stable")
    stepped = np.minimum(1.0, raw[order] * (max(len(raw), family) - np.arange(len(raw))))
    adjusted: list[float | None] = [None] * len(p_values)
    for rank, value in zip(order, np.maximum.accumulate(stepped), strict=True):
        adjusted[tested[rank]] = float(value)
    return adjusted
