"""The gain over the values of a hyperparameter, one panel for each that was varied."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from matplotlib.transforms import Transform, offset_copy

from bench.base.files import canonical
from bench.leaderboard import Board, Row
from bench.leaderboard.protocols import dotted
from bench.matrix.baseline import BASELINE
from bench.report.figures.measured import boards_note, finished, seed_gains
from bench.report.figures.style import (
    COLOURS,
    DASHES,
    MARKERS,
    SMALL,
    FigureSheet,
    few_ticks,
    fitted,
    in_style,
    legend,
    not_drawn,
    plain,
    text_width,
)
from bench.tasks.metric import Metric

MOST_PANELS = 18
"""Panels of one board."""
MOST_LINES = 6
"""Lines of one panel; each is one setting of the other hyperparameters."""

_COLUMNS = 3
_WIDTH, _HEIGHT, _GAP = 3.3, 1.9, 0.75
_ENTRY = 0.155  # height of a legend's line
_SPREAD = 7.5  # ratio of the largest to the smallest value from which on they are placed logarithmically


@dataclass(frozen=True)
class Sweep:
    """One hyperparameter of one method.

    Attributes:
        method: registered name.
        name: the hyperparameter, dotted where it is nested.
        lines: rows by value, by what else is set; each of at least two values, the longest first.
    """

    method: str
    name: str
    lines: Mapping[str, Mapping[float, Row]]

    @property
    def values(self) -> list[float]:
        """All values, ascending."""
        return sorted({value for line in list(self.lines.values())[:MOST_LINES] for value in line})


@in_style
def hyperparameter_sweeps(boards: Sequence[Board]) -> Figure | None:
    """Draw the gain and its interval over seeds against each number that was varied while all else stayed.

    Returns:
        The figure, or None where no method was run with two values of a number.
    """
    blocks = [(board, sweeps) for board in finished(boards) if (sweeps := find_sweeps(board))]
    if not blocks:
        return None
    heights = [sum(_line_heights(sweeps)) + 0.45 for _, sweeps in blocks]
    sheet = FigureSheet(0.65 + _COLUMNS * (_WIDTH + _GAP) - 0.4, sum(heights) + 0.2)
    sheet.text(0.1, 0.05, boards_note(boards, len(blocks)))
    top = 0.2
    for (board, sweeps), height in zip(blocks, heights, strict=True):
        title = fitted(board.title, 8.5, 10) + not_drawn(len(sweeps) - MOST_PANELS, "hyperparameters")
        sheet.text(0.15, top, title, 10)
        _block(sheet, top + 0.35, board, sweeps)
        top += height
    return sheet.figure


def find_sweeps(board: Board) -> list[Sweep]:
    """Return the numeric hyperparameters of which a method was scored with two values, all else being equal."""
    by_method: dict[str, list[tuple[dict[str, Any], Row]]] = defaultdict(list)
    for row in board.rows:
        if row.gain_mean is not None and row.method != BASELINE:
            by_method[row.method].append((dotted(json.loads(row.hyperparameters)), row))
    sweeps = []
    for method, settings in sorted(by_method.items()):
        for name in sorted({name for setting, _ in settings for name in setting}):
            lines = _lines(name, settings)
            if lines:
                sweeps.append(Sweep(method, name, lines))
    return sweeps


def _lines(name: str, settings: Sequence[tuple[dict[str, Any], Row]]) -> dict[str, dict[float, Row]]:
    lines: dict[str, dict[float, Row]] = defaultdict(dict)
    others: dict[str, dict[str, Any]] = {}
    for setting, row in settings:
        value = setting.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            rest = {other: setting[other] for other in setting if other != name}
            others[canonical(rest)] = rest
            lines[canonical(rest)].setdefault(float(value), row)
    long = {rest: dict(sorted(line.items())) for rest, line in lines.items() if len(line) > 1}
    longest_first = sorted(long, key=lambda rest: (-len(long[rest]), rest))
    return {_apart(others[rest], [others[other] for other in long]): long[rest] for rest in longest_first}


def _apart(setting: Mapping[str, Any], settings: Sequence[Mapping[str, Any]]) -> str:
    """Name a setting by those hyperparameters in which it differs from another."""
    missing = object()
    differing = [name for name in setting if any(other.get(name, missing) != setting[name] for other in settings)]
    parts = [
        f"{name}={setting[name]:g}" if _is_float(setting[name]) else f"{name}={setting[name]}" for name in differing
    ]
    return ", ".join(parts) or "all else as by default"


def _is_float(value: object) -> bool:
    return isinstance(value, float)


def _line_heights(sweeps: Sequence[Sweep]) -> list[float]:
    """Return the height of each line of panels, by the longest legend in it."""
    shown = sweeps[:MOST_PANELS]
    lines = [shown[start : start + _COLUMNS] for start in range(0, len(shown), _COLUMNS)]
    return [_HEIGHT + _GAP + 0.2 + _ENTRY * max(_entries(sweep) for sweep in line) for line in lines]


def _entries(sweep: Sweep) -> int:
    n = len(sweep.lines)
    return 0 if n == 1 else min(n, MOST_LINES)


def _block(sheet: FigureSheet, top: float, board: Board, sweeps: Sequence[Sweep]) -> None:
    seeds = seed_gains(board)
    shown = sweeps[:MOST_PANELS]
    for line, height in enumerate(_line_heights(sweeps)):
        for column, sweep in enumerate(shown[line * _COLUMNS : (line + 1) * _COLUMNS]):
            left = 0.65 + column * (_WIDTH + _GAP)
            title = f"{sweep.method}: {sweep.name}"
            left_out = not_drawn(len(sweep.lines) - MOST_LINES, "lines")
            upper = top + height - _HEIGHT - 0.55
            title = fitted(title, _WIDTH - text_width(left_out, 8.5), 8.5) + left_out
            sheet.text(left, upper - 0.25 - _ENTRY * _entries(sweep), title, 8.5)
            axes = sheet.axes(left, upper, _WIDTH, _HEIGHT)
            _panel(axes, board.metric, sweep, seeds)
            if column == 0:
                unit = board.metric.difference_unit
                axes.set_ylabel(f"gain over {BASELINE}" + (f" ({unit})" if unit else ""), parse_math=False)
        top += height


def _panel(axes: Axes, metric: Metric, sweep: Sweep, seeds: Mapping[str, Sequence[float]]) -> None:
    few_ticks(axes)
    axes.grid()
    axes.axhline(0, color="black", linewidth=1, zorder=1)
    handles = []
    for index, line in enumerate(list(sweep.lines.values())[:MOST_LINES]):
        handles.append(_draw(axes, metric, line, index, seeds))
    axes.set_ylim(*_limits(metric, list(sweep.lines.values())[:MOST_LINES], seeds))
    _value_axis(axes, sweep.values)
    axes.set_xlabel(fitted(sweep.name, _WIDTH - 0.2, 8))
    axes.xaxis.label.set_parse_math(False)
    if len(sweep.lines) > 1:
        labels = [fitted(label, _WIDTH - 0.5) for label in list(sweep.lines)[:MOST_LINES]]
        legend(axes, handles, labels, loc="lower left", bbox_to_anchor=(-0.02, 1.02), labelspacing=0.25)


def _limits(
    metric: Metric, lines: Sequence[Mapping[float, Row]], seeds: Mapping[str, Sequence[float]]
) -> tuple[float, float]:
    """Return the range to draw: zero, all means and seeds, and of the intervals as much as that again."""
    rows = [row for line in lines for row in line.values()]
    points = [
        0.0,
        *(metric.shown(row.gain_mean or 0) for row in rows),
        *(s for row in rows for s in seeds.get(row.label, ())),
    ]
    low, high = min(points), max(points)
    least = metric.limit / 50
    reach = max(high - low, least)
    starts = [metric.shown(row.gain_low) for row in rows if row.gain_low is not None]
    low = min(low, max(min(starts, default=low), low - reach))
    ends = [metric.shown(row.gain_high) for row in rows if row.gain_high is not None]
    high = max(high, min(max(ends, default=high), high + reach))
    margin = 0.06 * max(high - low, least)
    return low - margin, high + margin


def _draw(
    axes: Axes, metric: Metric, line: Mapping[float, Row], index: int, seeds: Mapping[str, Sequence[float]]
) -> Line2D:
    colour = COLOURS[index % len(COLOURS)]
    dots: dict[str, Any]
    look: dict[str, Any]
    means = [metric.shown(row.gain_mean or 0) for row in line.values()]
    for value, row in line.items():
        own, aside = seeds.get(row.label, []), _aside(axes, 4 * index - 4)
        if len(own) > 1:
            dots = {"markersize": 3, "color": colour, "alpha": 0.5, "markeredgewidth": 0, "linestyle": "none"}
            axes.plot([value] * len(own), own, marker="o", **dots, transform=aside)
        if row.gain_low is not None and row.gain_high is not None:
            low, high = metric.shown(row.gain_low), metric.shown(row.gain_high)
            look = {"color": colour, "linewidth": 1, "marker": "_", "markersize": 6, "zorder": 2}
            axes.plot([value, value], [low, high], **look, transform=_aside(axes, 4 * index))
    (drawn,) = axes.plot(
        list(line),
        means,
        color=colour,
        linestyle=DASHES[index % len(DASHES)],
        marker=MARKERS[index % len(MARKERS)],
        markersize=5,
        zorder=3,
        transform=_aside(axes, 4 * index),
    )
    return drawn


def _aside(axes: Axes, points: float) -> Transform:
    """Return the transform that draws beside the true place, so that intervals do not cover each other."""
    figure = axes.get_figure()
    assert isinstance(figure, Figure)
    return offset_copy(axes.transData, figure, x=points, units="points")


def _value_axis(axes: Axes, values: Sequence[float]) -> None:
    """Place the values by their size, logarithmically where they are far apart, with a tick at as many as fit."""
    magnitudes = [abs(value) for value in values if value]
    if magnitudes and max(magnitudes) > _SPREAD * min(magnitudes):
        if min(values) > 0:
            axes.set_xscale("log")
        else:
            axes.set_xscale("symlog", linthresh=min(magnitudes), linscale=0.5)
    places = axes.xaxis.get_transform().transform(np.asarray(values, dtype=float))
    extent = places[-1] - places[0]
    inverse = axes.xaxis.get_transform().inverted()
    axes.set_xlim(*inverse.transform(np.array([places[0] - 0.07 * extent, places[-1] + 0.07 * extent])))
    axes.xaxis.set_major_locator(FixedLocator(_fitting(values, places)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: plain(value)))


def _fitting(values: Sequence[float], places: np.ndarray) -> list[float]:
    """Return the values whose ticks do not touch, from the smallest on."""
    inches = (places - places[0]) / (places[-1] - places[0]) * _WIDTH / 1.14
    kept: list[float] = []
    end = -1.0
    for value, place in zip(values, inches, strict=True):
        half = text_width(plain(value), SMALL) / 2
        if place - half > end:
            kept.append(value)
            end = place + half + 0.06
    return kept
