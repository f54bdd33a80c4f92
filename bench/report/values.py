"""The values of a leaderboard as people read them: units, signs, rounding."""

from __future__ import annotations

from bench.leaderboard import Row
from bench.tasks.metric import Metric

Ends = tuple[float, float]
MINUS = "\N{MINUS SIGN}"


def spread(metric: Metric, mean: float | None, sd: float | None, signed: bool = False) -> str:
    """Return mean and standard deviation as the metric shows them; the mean alone where there is no deviation."""
    if mean is None:
        return ""
    text = metric.difference(mean) if signed else metric.text(mean)
    return text if sd is None else f"{text} ± {metric.text(sd)}"


def interval(metric: Metric, low: float | None, high: float | None) -> str:
    """Return a confidence interval of differences, such as ``[+0.30, +1.10]``; empty without one."""
    return "" if low is None or high is None else f"[{metric.difference(low)}, {metric.difference(high)}]"


def difference(metric: Metric, value: float | None) -> str:
    """Return a difference with its sign, a true minus sign; empty where it is not known."""
    return metric.difference(value).replace("-", MINUS)


def within(unit: str) -> str:
    """Return ``, in UNIT``, empty where there is no unit."""
    return f", in {unit}" if unit else ""


def quantity(value: float | None, digits: int = 3) -> str:
    """Return a count with its SI prefix and so many significant digits: ``21.0 k``, ``1.23 M``, ``3.4 G``."""
    if value is None:
        return ""
    for prefix in ("", "k", "M", "G", "T", "P"):
        rounded = float(f"{value:.{digits}g}")
        if abs(rounded) < 1000 or prefix == "P":
            break
        value /= 1000
    if not prefix:
        return f"{value:.0f}"
    whole = len(f"{abs(rounded):.0f}")
    return f"{rounded:.{max(digits - whole, 0)}f} {prefix}"


def states(row: Row) -> str:
    """Return the cells without a result, such as ``1 diverged, 2 planned``."""
    return ", ".join(f"{n} {state}" for state, n in sorted(row.states.items()))


def p_value(p: float | None) -> str:
    """Return a p-value with two significant digits, ``<0.001`` where it is smaller."""
    if p is None:
        return ""
    return "<0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def times(ratio: float | None) -> str:
    """Return a ratio to the baseline with the sign of multiplication."""
    return "" if ratio is None else f"{ratio:.2f}\N{MULTIPLICATION SIGN}"


def fps(row: Row) -> str:
    """Return images a second."""
    if row.fps is None:
        return ""
    return f"{row.fps:,.0f}" if row.fps >= 100 else f"{row.fps:.1f}"


def mebibytes(value: float | None) -> str:
    """Return a size with commas between thousands."""
    return "" if value is None else f"{value:,.0f}"


def published(metric: Metric, row: Row) -> str:
    """Return every published value with the measured one's gap to it; the sources are footnotes."""
    return "; ".join(
        metric.text(paper.value) + ("" if paper.gap is None else f" ({metric.difference(paper.gap)})")
        for paper in row.published
    )
