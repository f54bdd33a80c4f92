"""The score over the iterations, one panel a board: the whole training, and its end magnified."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.leaderboard import Board, Row
from bench.report.figures.measured import Curve, Curves, boards_note, finished, mean_curve, with_curves
from bench.report.figures.style import (
    GREY,
    FigureSheet,
    few_ticks,
    fitted,
    in_style,
    legend,
    line_style,
    name_width,
    not_drawn,
    saying,
    usual_range,
)
from bench.tasks.metric import Metric

MOST_METHODS = 25
NAMES = 2.9
"""Width in inches of the names in a legend."""

_END = 0.7  # the magnified view begins at this share of the iterations


@in_style
def score_over_steps(boards: Sequence[Board], curves: Mapping[str, Curves]) -> Figure:
    """Draw the mean over seeds as a line with markers, each seed as a thin line, the teacher as a dashed one.

    Args:
        boards: one panel each, the first :data:`bench.report.figures.measured.MOST_BOARDS` with a score; in a panel
            the baseline and the best methods, at most :data:`MOST_METHODS`.
        curves: by cell id.
    """
    shown = finished(boards)
    if not shown:
        return saying("no cell has finished: there is no curve to draw")
    drawn = [_drawable(board, curves) for board in shown]
    heights = [max(2.7, 0.5 + 0.165 * len(rows)) for rows in drawn]
    names = name_width([row.label for rows in drawn for row, _ in rows] + _teachers(shown), NAMES)
    sheet = FigureSheet(10.25 + names, sum(heights) + 0.95 * len(shown) + 0.2)
    top = 0.1
    sheet.text(0.1, top - 0.05, boards_note(boards, len(shown)))
    for board, rows, height in zip(shown, drawn, heights, strict=True):
        n_left_out = sum(row.score_mean is not None for row in board.rows) - len(rows)
        whole = sheet.axes(0.65, top + 0.4, 5.0, height)
        end = sheet.axes(6.25, top + 0.4, 2.7, height)
        title = fitted(board.title, 9.5, 10)
        whole.set_title(title + not_drawn(n_left_out, "methods"), fontsize=10, loc="left", parse_math=False, pad=8)
        _panel(whole, end, board, rows)
        top += height + 0.95
    return sheet.figure


def _teachers(boards: Sequence[Board]) -> list[str]:
    return [f"teacher {board.teacher_row.label}" for board in boards if board.teacher_row]


def _drawable(board: Board, curves: Mapping[str, Curves]) -> list[tuple[Row, list[Curve]]]:
    known = [(row, [seed.score for seed in seeds if seed.score]) for row, seeds in with_curves(board, curves)]
    return [(row, seeds) for row, seeds in known if seeds][:MOST_METHODS]


def _panel(whole: Axes, end: Axes, board: Board, drawn: Sequence[tuple[Row, list[Curve]]]) -> None:
    metric = board.metric
    shown = [(row, [_shown(metric, seed) for seed in seeds]) for row, seeds in drawn]
    handles = [_draw(whole, end, row, seeds, position) for position, (row, seeds) in enumerate(shown)]
    labels = [f"{fitted(row.label, NAMES)}  {metric.text(row.score_mean or 0)}" for row, _ in drawn]
    for axes, most in ((whole, 8), (end, 4)):
        few_ticks(axes, x=most)
        axes.set_xlabel("iteration")
        axes.grid()
    _magnify(end, [mean_curve(seeds) for _, seeds in shown], metric.limit)
    teacher = board.teacher_row
    if teacher and teacher.score_mean is not None:
        level = metric.shown(teacher.score_mean)
        for axes in (end, whole):
            line = axes.axhline(level, color="black", linestyle="--", linewidth=1.2)
        handles.insert(0, line)
        labels.insert(0, f"{fitted(f'teacher {teacher.label}', NAMES)}  {metric.text(teacher.score_mean)}")
    whole.set_ylabel(metric.axis, parse_math=False)
    if handles:
        legend(end, handles, labels, title=f"final {metric.title}", bbox_to_anchor=(1.03, 1.0))


def _draw(whole: Axes, end: Axes, row: Row, seeds: Sequence[Curve], position: int) -> Line2D:
    """Draw one method into both views and return its line for the legend."""
    style, mean = line_style(row, position), mean_curve(seeds)
    for axes in (end, whole):
        if len(seeds) > 1:
            each = [sorted(seed.items()) for seed in seeds]
            axes.add_collection(LineCollection(each, colors=style["color"], linewidths=0.6, alpha=0.35))
        (line,) = axes.plot(list(mean), list(mean.values()), **style, markevery=max(1, len(mean) // 10))
    return line


def _magnify(axes: Axes, means: Sequence[Curve], limit: float) -> None:
    """Limit a view to the last part of the training and to the scores of the means there, but for those far off.

    Args:
        axes: the view.
        means: scores as shown.
        limit: the noticeable difference, as shown.
    """
    last = max((max(mean) for mean in means if mean), default=0)
    scores = [score for mean in means for iteration, score in mean.items() if iteration >= _END * last]
    axes.set_title("the end, magnified", fontsize=8.5, loc="right", color=GREY, pad=8)
    if scores and last:
        low, high = usual_range(scores, limit / 10)
        margin = max(0.06 * (high - low), limit / 50)
        axes.set_xlim(_END * last, last * 1.01)
        axes.set_ylim(low - margin, high + margin)


def _shown(metric: Metric, curve: Curve) -> Curve:
    return {iteration: metric.shown(curve[iteration]) for iteration in sorted(curve)}
