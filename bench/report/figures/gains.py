"""The gain of every method over the baseline with its intervals: one panel a board, one line a method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.leaderboard import Board, Row
from bench.matrix.baseline import BASELINE
from bench.report.figures.measured import boards_note, finished, seed_gains
from bench.report.figures.style import (
    COLOURS,
    GREY,
    SMALL,
    FigureSheet,
    few_ticks,
    fitted,
    in_style,
    legend,
    not_drawn,
    signed,
)
from bench.tasks.metric import Metric

MOST_METHODS = 40

_LINE = 0.29  # of one method, in inches
_NAMES, _PLOT, _VALUES, _SEEDS, _TIER = 2.9, 5.0, 1.75, 0.35, 0.4
_FAR = 4  # a mean this many times further out than the others' third quartile is drawn as an arrow at the edge
_BLUE, _ORANGE = COLOURS[0], COLOURS[1]


@in_style
def gains(boards: Sequence[Board]) -> Figure | None:
    """Draw mean, interval over seeds, interval over images and the single seeds, grouped by tier.

    Args:
        boards: those with a score, at most :data:`bench.report.figures.measured.MOST_BOARDS`; a board without a
            baseline has no gains and is left out.

    Returns:
        The figure, or None without any gain.
    """
    shown = [(board, rows) for board in finished(boards) if (rows := _ordered(board))]
    if not shown:
        return None
    heights = [min(len(rows), MOST_METHODS + 1) * _LINE + 0.1 for _, rows in shown]
    width = 0.15 + _NAMES + _PLOT + _VALUES + _SEEDS + _TIER + 0.45
    sheet = FigureSheet(width, sum(heights) + 1.15 * len(shown) + 0.75)
    sheet.text(0.1, 0.06, boards_note(boards, len(shown)))
    _key(sheet, shown)
    top = 0.75
    for (board, rows), height in zip(shown, heights, strict=True):
        _block(sheet, top, board, rows, height)
        top += height + 1.15
    return sheet.figure


def _ordered(board: Board) -> list[Row]:
    """Return the rows with a gain, the baseline as one of no gain, by tier and then by gain."""
    with_baseline = [
        replace(row, gain_mean=0.0) if row.method == BASELINE and row.score_mean is not None else row
        for row in board.rows
    ]
    known = [row for row in with_baseline if row.gain_mean is not None]
    if all(row.method == BASELINE for row in known):
        return []
    return sorted(known, key=lambda row: (row.tier is None, row.tier or 0, -(row.gain_mean or 0)))


def _block(sheet: FigureSheet, top: float, board: Board, rows: Sequence[Row], height: float) -> None:
    n_unknown = sum(row.gain_mean is None and row.method != BASELINE for row in board.rows)
    n_left_out = len(rows) - MOST_METHODS - 1
    title = fitted(board.title, 7.5, 10) + not_drawn(n_left_out, "methods") + not_drawn(n_unknown, "without a gain")
    rows = rows[: MOST_METHODS + 1]
    sheet.text(0.15, top, title, 10)
    axes = sheet.axes(0.15 + _NAMES, top + 0.45, _PLOT, height)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.spines["left"].set_visible(False)
    metric = board.metric
    axes.set_xlabel(f"gain over {BASELINE} ({metric.difference_title})", parse_math=False)
    few_ticks(axes, x=9)
    axes.set_yticks([])
    axes.grid(axis="x")
    by_label = seed_gains(board)
    low, high = _limits(metric, rows, by_label)
    axes.set_xlim(low, high)
    axes.axvline(0, color="black", linewidth=1, zorder=1)
    _tiers(axes, rows)
    for position, row in enumerate(rows):
        _draw(axes, metric, row, position, by_label.get(row.label, []))
    _texts(sheet, top + 0.45, metric, rows, height)


def _limits(metric: Metric, rows: Sequence[Row], by_label: Mapping[str, Sequence[float]]) -> tuple[float, float]:
    """Return the range to draw: all means and seeds but those far out, and of the intervals as much as that again."""
    means = [metric.shown(row.gain_mean or 0) for row in rows]
    sizes = sorted(abs(mean) for mean in means)
    bound = max(_FAR * sizes[len(sizes) * 3 // 4], metric.limit / 10)
    within = [value for row in rows for value in by_label.get(row.label, ()) if abs(value) <= bound]
    within += [mean for mean in means if abs(mean) <= bound]
    low, high = min(0.0, *within), max(0.0, *within)
    reach = max(high - low, metric.limit / 50)
    near = [row for row, mean in zip(rows, means, strict=True) if abs(mean) <= bound]
    ends = [metric.shown(end) for row in near for end in _ends(row) if end is not None]
    low = min(low, max(min(ends, default=low), low - reach))
    high = max(high, min(max(ends, default=high), high + reach))
    margin = 0.04 * max(high - low, metric.limit / 50)
    return low - margin, high + margin


def _ends(row: Row) -> tuple[float | None, ...]:
    return row.gain_low, row.gain_high, row.image_gain_low, row.image_gain_high


def _draw(axes: Axes, metric: Metric, row: Row, position: int, seeds: Sequence[float]) -> None:
    low, high = axes.get_xlim()
    mean = metric.shown(row.gain_mean or 0)
    if row.method == BASELINE:
        axes.plot([0], [position], marker="D", markersize=6, color=GREY, zorder=4)
        return
    if row.image_gain_low is not None and row.image_gain_high is not None:
        ends = metric.shown(row.image_gain_low), metric.shown(row.image_gain_high)
        _bar(axes, ends, position + 0.26, color=_ORANGE, linewidth=1, linestyle=":")
    if row.gain_low is not None and row.gain_high is not None:
        _bar(axes, (metric.shown(row.gain_low), metric.shown(row.gain_high)), position, color=_BLUE, linewidth=2)
    inside = [seed for seed in seeds if low <= seed <= high]
    if row.n_paired > 1:
        axes.plot(inside, [position - 0.24] * len(inside), "o", markersize=3, color="black", alpha=0.4, mew=0)
    sure = row.gain_low is not None and row.gain_high is not None and (row.gain_low > 0 or row.gain_high < 0)
    at = min(max(mean, low), high)
    marker = "o" if at == mean else "<" if mean < low else ">"
    face = _BLUE if sure else "white"
    axes.plot([at], [position], marker, markersize=6.5, color=_BLUE, markerfacecolor=face, zorder=5, clip_on=False)


def _bar(axes: Axes, interval: tuple[float, float], y: float, **look: Any) -> None:
    """Draw an interval with caps; an end beyond the axes is an arrow head at their edge instead."""
    low, high = axes.get_xlim()
    start, end = interval
    if end < low or start > high:
        return
    ends = [min(max(value, low), high) for value in interval]
    axes.plot(ends, [y, y], **look, zorder=3, solid_capstyle="butt")
    marks = ["|" if low <= value <= high else beyond for value, beyond in ((start, "<"), (end, ">"))]
    for x, marker in zip(ends, marks, strict=True):
        size = 5 if marker == "|" else 4
        axes.plot([x], [y], marker, color=look["color"], markersize=size, zorder=3, clip_on=False)


def _tiers(axes: Axes, rows: Sequence[Row]) -> None:
    """Shade every other tier."""
    tiers = list(dict.fromkeys(row.tier for row in rows))
    for position, row in enumerate(rows):
        if tiers.index(row.tier) % 2:
            axes.axhspan(position - 0.5, position + 0.5, color="#EFEFEF", linewidth=0, zorder=0)


def _texts(sheet: FigureSheet, top: float, metric: Metric, rows: Sequence[Row], height: float) -> None:
    """Write the names to the left of the axes, and gain, interval, number of seeds and tier to their right."""
    step = height / len(rows)
    values = 0.15 + _NAMES + _PLOT + _VALUES + 0.1
    interval = " [95 % interval]" if any(row.gain_low is not None for row in rows) else ""
    columns = [(values, f"gain{interval}"), (values + _SEEDS, "n"), (values + _SEEDS + _TIER, "tier")]
    for right, header in columns:
        sheet.text(right, top - 0.17, header, color=GREY, ha="right")
    for position, row in enumerate(rows):
        middle = top + (position + 0.5) * step
        is_baseline = row.method == BASELINE
        name = fitted(row.label + (" (baseline)" if is_baseline else ""), _NAMES - 0.15, 8)
        sheet.text(0.05 + _NAMES, middle, name, 8, ha="right", va="center_baseline")
        n = row.n_seeds if is_baseline else row.n_paired
        texts = ["" if is_baseline else _interval(metric, row), str(n), "" if row.tier is None else str(row.tier)]
        for (right, _), text in zip(columns, texts, strict=True):
            sheet.text(right, middle, text, SMALL, ha="right", va="center_baseline")


def _interval(metric: Metric, row: Row) -> str:
    def told(value: float) -> str:
        return signed(metric.shown(value), metric.digits)

    text = told(row.gain_mean or 0)
    if row.gain_low is None or row.gain_high is None:
        return text
    return f"{text} [{told(row.gain_low)}, {told(row.gain_high)}]"


def _key(sheet: FigureSheet, shown: Sequence[tuple[Board, Sequence[Row]]]) -> None:
    """Explain the marks that occur."""
    rows = [row for _, rows in shown for row in rows[: MOST_METHODS + 1] if row.method != BASELINE]
    mean: dict[str, Any] = {"marker": "o", "markersize": 6.5, "color": _BLUE}
    entries: list[tuple[Artist, str]] = []
    if any(row.gain_low is not None for row in rows):
        entries.append((Line2D([], [], **mean, linewidth=2), "mean, 95 % interval over seeds without 0 in it"))
        entries.append((Line2D([], [], **mean, linewidth=2, markerfacecolor="white"), "with 0 in it, or one seed"))
    else:
        open_mark = Line2D([], [], **mean, markerfacecolor="white", linestyle="none")
        entries.append((open_mark, "gain; one seed has no interval"))
    if any(row.n_paired > 1 for row in rows):
        dot = Line2D([], [], marker="o", markersize=3, color="black", alpha=0.4, linestyle="none")
        entries.append((dot, "one seed"))
    if any(row.image_gain_low is not None for row in rows):
        bar = Line2D([], [], color=_ORANGE, linewidth=1, linestyle=":", marker="|", markersize=5)
        entries.append((bar, "95 % interval over images (bootstrap)"))
    entries.append((Line2D([], [], marker="D", markersize=6, color=GREY, linestyle="none"), BASELINE))
    axes = sheet.axes(0.15, 0.3, sheet.width - 0.3, 0.3)
    axes.set_axis_off()
    handles, labels = zip(*entries, strict=True)
    legend(axes, handles, labels, ncols=len(entries), bbox_to_anchor=(0, 1), columnspacing=1.2, handlelength=2)
