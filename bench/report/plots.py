"""mIoU over the iterations, one panel a board: the whole training, and its end magnified."""

from __future__ import annotations

import contextlib
import io
import json
import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.leaderboard import BASELINE, Board, Row
from bench.report.columns import one_line
from bench.store import HISTORY

Curve = dict[int, float]

MOST_PANELS = 12
MOST_METHODS = 20
# Okabe & Ito (2008), "Color Universal Design", without yellow, which is too pale for a line on white.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7A4B00")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*", "p")
_DASHES = ("-", (0, (5, 1.5)), (0, (1, 1.2)), (0, (5, 1.2, 1, 1.2)))
_LABEL_LENGTH = 36
_DPI = 130
_END = 0.7  # the magnified view begins at this share of the iterations


def read_curves(boards: Sequence[Board]) -> tuple[dict[str, Curve], int]:
    """Read the evaluations that the finished cells made while training.

    Returns:
        mIoU in 0..1 by iterations done, by cell id; and the number of finished cells whose history cannot be read.
    """
    curves: dict[str, Curve] = {}
    n_unreadable = 0
    finished = {
        cell["cell_id"]: cell["folder"]
        for b in boards
        for cell in b.cells[b.cells["state"] == "done"].to_dict("records")
    }
    for cell_id, folder in finished.items():
        try:
            evaluations = json.loads((Path(folder) / HISTORY).read_text(encoding="utf-8"))["evals"]
            curves[cell_id] = {int(e["iteration"]): float(e["miou"]) for e in evaluations if e["miou"] is not None}
        except (OSError, ValueError, KeyError, TypeError):
            n_unreadable += 1
    return curves, n_unreadable


def miou_over_steps(boards: Sequence[Board], curves: Mapping[str, Curve]) -> Figure:
    """Draw the mean over seeds as a line with markers, each seed as a thin line, the teacher as a dashed one.

    Args:
        boards: one panel each, the first :data:`MOST_PANELS`; in a panel the baseline and the best methods, at most
            :data:`MOST_METHODS`.
        curves: mIoU by iteration, by cell id.
    """
    shown = [board for board in boards if board.teacher_row or _drawable(board, curves)][:MOST_PANELS]
    heights = [max(3.6, 0.8 + 0.2 * min(len(board.rows), MOST_METHODS + 2)) for board in shown] or [2.0]
    figure = Figure(figsize=(12.5, sum(heights)), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    if not shown:
        figure.text(0.5, 0.5, "no cell has finished: there is no curve to draw", ha="center", va="center")
        return figure
    panels = figure.subplots(len(shown), 2, squeeze=False, height_ratios=heights, width_ratios=[3, 2])
    for (whole, end), board in zip(panels, shown, strict=True):
        _panel(whole, end, board, curves)
    # The layout is solved once here: it takes longer than the drawing and would be solved again for each file format.
    with _any_script():
        figure.draw_without_rendering()
    figure.set_layout_engine(None)
    return figure


def render(figure: Figure, kind: str) -> bytes:
    """Return the figure as ``png`` or ``svg``; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    metadata = {"Date": None} if kind == "svg" else {}
    with mpl.rc_context({"svg.hashsalt": "bench"}), _any_script():
        figure.savefig(buffer, format=kind, dpi=_DPI, metadata=metadata)
    return buffer.getvalue()


@contextlib.contextmanager
def _any_script() -> Iterator[None]:
    """Keep quiet about characters that the font lacks: a method may be named in any script."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        yield


def _drawable(board: Board, curves: Mapping[str, Curve]) -> list[tuple[Row, list[Curve]]]:
    """Return the rows that have curves: the baseline and the best, in the board's order."""
    by_row = defaultdict(list)
    for cell in board.cells[board.cells["state"] == "done"].to_dict("records"):
        if curves.get(cell["cell_id"]):
            by_row[cell["row"]].append(curves[cell["cell_id"]])
    return [(row, by_row[row.label]) for row in board.rows if row.label in by_row][:MOST_METHODS]


def _panel(whole: Axes, end: Axes, board: Board, curves: Mapping[str, Curve]) -> None:
    drawn = _drawable(board, curves)
    handles = [_draw(whole, end, row, seeds, position) for position, (row, seeds) in enumerate(drawn)]
    _magnify(end, [_mean_curve(seeds) for _, seeds in drawn])
    teacher = board.teacher_row
    if teacher and teacher.miou_mean is not None:
        level = 100 * teacher.miou_mean
        for axes in (end, whole):
            line = axes.axhline(level, color="black", linestyle="--", linewidth=1.2)
        line.set_label(f"teacher {one_line(teacher.label, _LABEL_LENGTH - 8)}  {level:.2f}")
        handles.insert(0, line)
    n_left_out = sum(row.miou_mean is not None for row in board.rows) - len(drawn)
    title = one_line(board.title, 110) + (f" ({n_left_out} methods not drawn)" if n_left_out > 0 else "")
    whole.set_title(title, fontsize=10, loc="left", parse_math=False)
    whole.set_ylabel("mIoU (%)")
    for axes in (whole, end):
        axes.set_xlabel("iteration")
        axes.grid(alpha=0.25, linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
    _legend(end, handles)


def _draw(whole: Axes, end: Axes, row: Row, seeds: Sequence[Curve], position: int) -> Line2D:
    """Draw one method into both views and return its line for the legend."""
    style, mean = _style(row, position), _mean_curve(seeds)
    for axes in (end, whole):
        if len(seeds) > 1:
            each = [list(zip(*_percent(seed), strict=True)) for seed in seeds]
            axes.add_collection(LineCollection(each, colors=style["color"], linewidths=0.6, alpha=0.35))
        (line,) = axes.plot(*_percent(mean), **style, markevery=max(1, len(mean) // 10))
    line.set_label(f"{one_line(row.label, _LABEL_LENGTH)}  {100 * (row.miou_mean or 0):.2f}")
    return line


def _magnify(axes: Axes, means: Sequence[Curve]) -> None:
    """Limit a view to the last part of the training and to the scores that the means have there."""
    last = max((max(mean) for mean in means if mean), default=0)
    scores = [score for mean in means for iteration, score in mean.items() if iteration >= _END * last]
    axes.set_title("the end, magnified", fontsize=9, loc="right", color="#555555")
    if scores and last:
        margin = max(100 * (max(scores) - min(scores)) * 0.06, 0.1)
        axes.set_xlim(_END * last, last * 1.01)
        axes.set_ylim(100 * min(scores) - margin, 100 * max(scores) + margin)


def _style(row: Row, position: int) -> dict[str, Any]:
    """Return colour, dash and marker; any two of 77 methods in a row differ in colour or marker."""
    if row.method == BASELINE:
        return {"color": "#555555", "linestyle": "-", "linewidth": 2.4, "marker": "o", "markersize": 4, "zorder": 3}
    return {
        "color": _COLOURS[position % len(_COLOURS)],
        "linestyle": _DASHES[position // len(_COLOURS) % len(_DASHES)],
        "linewidth": 1.5,
        "marker": _MARKERS[position % len(_MARKERS)],
        "markersize": 4.5,
    }


def _legend(axes: Axes, handles: Sequence[Line2D]) -> None:
    if not handles:
        return
    # Labels are put in afterwards: the legend itself drops those that begin with an underscore.
    labels = [str(handle.get_label()) for handle in handles]
    legend = axes.legend(
        handles,
        [str(position) for position in range(len(handles))],
        loc="upper left",
        bbox_to_anchor=(1.01, 1.0),
        fontsize=7.5,
        frameon=False,
        title="final mIoU (%)",
        title_fontsize=8,
        alignment="left",
        handlelength=3.5,
        borderaxespad=0,
    )
    for text, label in zip(legend.get_texts(), labels, strict=True):
        text.set_parse_math(False)
        text.set_text(label)


def _mean_curve(seeds: Sequence[Curve]) -> Curve:
    """Average at the iterations that every seed has."""
    common = sorted(set.intersection(*(set(seed) for seed in seeds)))
    return {iteration: sum(seed[iteration] for seed in seeds) / len(seeds) for iteration in common}


def _percent(curve: Curve) -> tuple[list[int], list[float]]:
    iterations = sorted(curve)
    return iterations, [100 * curve[iteration] for iteration in iterations]
