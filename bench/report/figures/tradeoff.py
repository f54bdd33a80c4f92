"""The score against parameters, MACs and speed, with the front of the models that none beats in both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.optimize import isotonic_regression

from bench.leaderboard import Board, Row
from bench.matrix.baseline import BASELINE
from bench.report.figures.measured import MOST_BOARDS
from bench.report.figures.style import (
    GREY,
    SMALL,
    FigureSheet,
    few_ticks,
    fitted,
    in_style,
    line_style,
    log_axis,
    name_width,
    usual_range,
)
from bench.tasks.metric import Metric

MOST_LABELS = 32

_PLOT, _GAP, _LEADERS, _NAMES = 2.65, 0.3, 0.45, 2.6  # widths in inches
_LINE = 0.165  # height of a name

Measure = Literal["params", "macs", "fps"]
_MEASURES: dict[Measure, str] = {"params": "parameters", "macs": "MACs", "fps": "FPS"}


@dataclass(frozen=True)
class Point:
    """One point: a method of a student, or a teacher.

    Attributes:
        row: its scores and costs.
        metric: what the score is.
        student: name of the student, empty for a teacher.
        teacher: name of the teacher that it was trained with, empty for none.
    """

    row: Row
    metric: Metric
    student: str
    teacher: str = ""

    @property
    def score(self) -> float:
        """The score as shown."""
        return self.metric.shown(self.row.score_mean or 0)

    @property
    def worth(self) -> float:
        """The score turned so that higher is better."""
        return self.metric.sign * self.score

    def cost(self, measure: Measure) -> float | None:
        """Return what it costs, None where that is unknown or cannot stand on a logarithmic axis."""
        value = getattr(self.row, measure)
        return value if value is not None and value > 0 else None


@in_style
def score_over_cost(boards: Sequence[Board]) -> Figure | None:
    """Draw one line of panels for each dataset and protocol, over all pairs of teacher and student.

    The names stand beside the last panel, each at the height of its point as far as there is room. Of more than
    :data:`MOST_LABELS` models the rest are drawn as small dots without a name.

    Returns:
        The figure, or None where no model has both a score and a cost.
    """
    groups = _groups(boards)
    if not groups:
        return None
    shown = list(groups.items())[:MOST_BOARDS]
    named = [_named(models) for _, models in shown]
    heights = [max(2.5, _LINE * len(models) + 0.1) for models in named]
    names = name_width([_name(model, _several(models)) for models in named for model in models], _NAMES)
    width = 0.75 + 3 * _PLOT + 2 * _GAP + _LEADERS + names + 0.75
    sheet = FigureSheet(width, sum(heights) + 1.05 * len(shown) + 0.25)
    if len(groups) > len(shown):
        sheet.text(0.1, 0.06, f"The first {len(shown)} of {len(groups)} datasets and protocols are drawn.")
    top = 0.2
    for ((dataset, protocol), models), labelled, height in zip(shown, named, heights, strict=True):
        title = f"{dataset} (protocol {protocol})" if protocol else dataset
        n_rest = len(models) - len(labelled)
        sheet.text(0.15, top, fitted(title, 7.5, 10) + (f" ({n_rest} more as small dots)" if n_rest else ""), 10)
        _block(sheet, top + 0.4, height, models, labelled)
        top += height + 1.05
    return sheet.figure


def _groups(boards: Sequence[Board]) -> dict[tuple[str, str], list[Point]]:
    """Return the models by dataset and protocol, each once although ``none`` is on every board of its student."""
    groups: dict[tuple[str, str], dict[Any, Point]] = {}
    for board in boards:
        group = groups.setdefault((board.dataset, board.protocol), {})
        for row in board.shown:
            alone = row is board.teacher_row or row.method == BASELINE
            student = "" if row is board.teacher_row else board.student
            model = Point(row, board.metric, student, "" if alone else board.teacher or "")
            if row.score_mean is not None and any(model.cost(measure) for measure in _MEASURES):
                group.setdefault((model.student, model.teacher, row.label, row.score_mean), model)
    return {
        key: list(group.values()) for key, group in groups.items() if any(model.student for model in group.values())
    }


def front(models: Sequence[Point], measure: Measure) -> list[Point]:
    """Return the models that no other beats: at least as good in both, better in one; from the cheapest on."""
    more_is_better = measure == "fps"
    known = [model for model in models if model.cost(measure) is not None]
    cheapest_first = sorted(
        known, key=lambda model: (-(model.cost(measure) or 0) if more_is_better else model.cost(measure), -model.worth)
    )
    best: list[Point] = []
    for model in cheapest_first:
        if not best or model.worth > best[-1].worth:
            best.append(model)
    return best


def _named(models: Sequence[Point]) -> list[Point]:
    """Return the models to name, the best first: all, or the fronts, teachers, baselines and then the best."""
    best_first = sorted(models, key=lambda model: -model.worth)
    if len(models) <= MOST_LABELS:
        return best_first
    on_fronts = {id(model) for measure in _MEASURES for model in front(models, measure)}
    rank = {id(model): position for position, model in enumerate(best_first)}
    by_worth = sorted(
        models,
        key=lambda model: (
            id(model) not in on_fronts,
            bool(model.student) and model.row.method != BASELINE,
            rank[id(model)],
        ),
    )
    chosen = {id(model) for model in by_worth[:MOST_LABELS]}
    return [model for model in best_first if id(model) in chosen]


def _block(sheet: FigureSheet, top: float, height: float, models: Sequence[Point], named: Sequence[Point]) -> None:
    looks = [_look(model, position) for position, model in enumerate(named)]
    limits = _limits(models)
    measures = [measure for measure in _MEASURES if any(model.cost(measure) for model in models)]
    left = 0.75
    for measure in measures:
        axes = sheet.axes(left, top, _PLOT, height)
        axes.set_ylim(*limits)
        few_ticks(axes)
        axes.grid()
        _panel(axes, measure, models, named, looks)
        if measure == measures[0]:
            axes.set_ylabel(models[0].metric.axis, parse_math=False)
        else:
            axes.tick_params(labelleft=False)
        left += _PLOT + _GAP
    _names(sheet, (left - _GAP, top, height), limits, named, looks)


def _look(model: Point, position: int) -> dict[str, Any]:
    if not model.student:
        return {"marker": "*", "color": "black", "markersize": 10}
    style = line_style(model.row, position)
    if model.row.method == BASELINE:
        return {"marker": "o", "color": GREY, "markersize": 6.5, "markerfacecolor": "white", **_edge(GREY, 1.8)}
    return {"marker": style["marker"], "color": style["color"], "markersize": 6}


def _edge(colour: str = "white", width: float = 0.5) -> dict[str, Any]:
    return {"markeredgecolor": colour, "markeredgewidth": width}


def _limits(models: Sequence[Point]) -> tuple[float, float]:
    """Return the range of scores to draw: all, but for teachers and failures so far off that nothing else has room."""
    metric = models[0].metric
    low, high = usual_range([model.score for model in models if model.student], metric.limit / 10)
    teachers = [model.score for model in models if not model.student]
    ahead = max(teachers, default=high) - high if metric.higher_is_better else low - min(teachers, default=low)
    if len(models) - len(teachers) < 4 or ahead < 2 * (high - low):
        low, high = min([low, *teachers]), max([high, *teachers])
    margin = max(0.06 * (high - low), metric.limit / 25)
    return low - margin, high + margin


def _panel(
    axes: Axes, measure: Measure, models: Sequence[Point], named: Sequence[Point], looks: Sequence[dict[str, Any]]
) -> None:
    setting = _common_setting(models) if measure == "fps" else None
    comparable = [
        model for model in models if model.cost(measure) and (setting is None or model.row.setting == setting)
    ]
    log_axis(axes, [model.cost(measure) or 1 for model in comparable])
    elsewhere = sum(model.cost(measure) is not None for model in models) - len(comparable)
    words = [_MEASURES[measure]]
    if setting:  # device, precision and size of the batch
        device, *how = setting.rsplit(", ", 2)
        words = [f"{_MEASURES[measure]} ({', '.join(how)})", device]
    words += [f"{elsewhere} timed elsewhere left out"] if elsewhere else []
    axes.set_xlabel("\n".join(fitted(line, _PLOT, 8) for line in words), parse_math=False)
    ids = {id(model) for model in named}
    rest = [model for model in comparable if id(model) not in ids]
    axes.plot(
        [m.cost(measure) or 1 for m in rest], [m.score for m in rest], ".", color="#AAAAAA", markersize=4, zorder=2
    )
    best = front(comparable, measure)
    axes.plot(
        [model.cost(measure) or 1 for model in best],
        [model.score for model in best],
        color="#999999",
        linestyle=(0, (4, 2)),
        drawstyle="steps-post",
        linewidth=1.1,
        zorder=1,
    )
    low, high = axes.get_ylim()
    ringed = {id(model) for model in best}
    shown = {id(model) for model in comparable}
    for model, look in reversed(list(zip(named, looks, strict=True))):
        if id(model) in shown:
            point = ([model.cost(measure)], [min(max(model.score, low), high)])
            if id(model) in ringed:
                axes.plot(*point, "o", markersize=13, markerfacecolor="none", color="#999999", zorder=1, clip_on=False)
            axes.plot(*point, linestyle="none", **{**_edge(), **look}, zorder=3, clip_on=False)


def _common_setting(models: Sequence[Point]) -> str | None:
    """Return the setting in which most were timed: only those can be compared."""
    settings = Counter(model.row.setting for model in models if model.cost("fps") and model.row.setting)
    return settings.most_common(1)[0][0] if settings else None


def _names(
    sheet: FigureSheet,
    place: tuple[float, float, float],
    limits: tuple[float, float],
    named: Sequence[Point],
    looks: Sequence[dict[str, Any]],
) -> None:
    """Write the names in one column with a leader from the height of the point."""
    left, top, height = place
    axes = sheet.axes(left, top, _LEADERS, height)
    axes.set(xlim=(0, 1), ylim=limits)
    axes.set_axis_off()
    low, high = limits
    line = _LINE * (high - low) / height
    scores = [min(max(model.score, low), high) for model in named]
    heights = spread(scores, line, low + line / 2, high - line / 2)
    several = _several(named)
    for model, look, score, y in zip(named, looks, scores, heights, strict=True):
        axes.plot([0.05, 0.55, 0.75], [score, y, y], color="#BBBBBB", linewidth=0.6, clip_on=False)
        axes.plot([0.85], [y], linestyle="none", **{**_edge(), **look, "markersize": 6}, clip_on=False)
        name = _name(model, several)
        beyond = " \N{UPWARDS ARROW}" if model.score > high else " \N{DOWNWARDS ARROW}" if model.score < low else ""
        text = f"{fitted(name, _NAMES)}  {model.metric.text(model.row.score_mean)}{beyond}"
        sheet.text(left + _LEADERS + 0.05, top + height * (high - y) / (high - low), text, SMALL, va="center_baseline")


def _several(models: Sequence[Point]) -> bool:
    return len({(model.student, model.teacher) for model in models if model.teacher}) > 1


def _name(model: Point, several: bool) -> str:
    if not model.student:
        return f"teacher {model.row.label}"
    if not several:
        return model.row.label
    pair = f"{model.teacher}\N{RIGHTWARDS ARROW}{model.student}" if model.teacher else model.student
    return f"{pair}: {model.row.label}"


def spread(values: Sequence[float], distance: float, low: float, high: float) -> list[float]:
    """Return places at least ``distance`` apart, within the range, as near to the values as can be (least squares).

    Args:
        values: in any order, which the places keep; equal values keep the order given, the first highest.
        distance: smallest distance of two places.
        low: lower end of the range.
        high: upper end; the range has room for all.
    """
    order = sorted(range(len(values)), key=lambda index: (values[index], -index))
    steps = distance * np.arange(len(values))
    # Places that rise by a distance each are values that do not fall once the distances are taken off.
    fit = isotonic_regression(np.array([values[index] for index in order], dtype=float) - steps).x
    places = np.clip(fit, low, max(low, high - steps[-1])) + steps
    result = [0.0] * len(values)
    for index, place in zip(order, places, strict=True):
        result[index] = float(place)
    return result
