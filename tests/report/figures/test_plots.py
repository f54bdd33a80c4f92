from __future__ import annotations

import warnings
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from bench.leaderboard import Board, leaderboard, load
from bench.report.figures.curves import MOST_METHODS
from bench.report.figures.plots import read_curves, render, score_over_steps
from tests.run_builder import TEACHER_SCORE, RunBuilder


def figure_of(builder: RunBuilder) -> tuple[Figure, list[Board]]:
    boards = leaderboard(load(builder.run))
    curves, _ = read_curves(boards)
    return score_over_steps(boards, curves), boards


def legend_of(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[1].get_legend().get_texts()]


def test_mean_line_and_one_thin_line_a_seed(tmp_path: Path) -> None:
    builder = RunBuilder(tmp_path)
    for seed, last in enumerate([0.4, 0.6]):
        evals = [{"iteration": 10, "miou": last / 2}, {"iteration": 20, "miou": last}, {"iteration": 30, "miou": None}]
        builder.done("none", last, seed, evals=evals)
    figure, _ = figure_of(builder)
    (mean,) = figure.axes[0].get_lines()
    (seeds,) = figure.axes[0].collections
    assert [[list(point) for point in seed] for seed in seeds.get_segments()] == [
        [[10, 20], [20, 40]],
        [[10, 30], [20, 60]],
    ]
    assert (list(mean.get_xdata()), list(mean.get_ydata())) == ([10, 20], pytest.approx([25, 50]))
    assert seeds.get_linewidth()[0] < mean.get_linewidth()


def test_mean_is_over_iterations_that_every_seed_has(tmp_path: Path) -> None:
    builder = RunBuilder(tmp_path)
    builder.done("none", 0.4, 0, evals=[{"iteration": 10, "miou": 0.2}, {"iteration": 20, "miou": 0.4}])
    builder.done("none", 0.6, 1, evals=[{"iteration": 20, "miou": 0.6}])
    figure, _ = figure_of(builder)
    mean = figure.axes[0].get_lines()[-1]
    assert (list(mean.get_xdata()), list(mean.get_ydata())) == ([20], [50])


def test_teacher_is_a_dashed_line_at_its_score(tmp_path: Path) -> None:
    builder = RunBuilder(tmp_path)
    builder.done("none", 0.5)
    builder.done("kd", 0.6)
    figure, _ = figure_of(builder)
    teacher = figure.axes[0].get_lines()[-1]
    assert teacher.get_linestyle() == "--"
    assert set(teacher.get_ydata()) == {100 * TEACHER_SCORE}
    assert legend_of(figure) == ["teacher big  72.00", "none  50.00", "kd  60.00"]


def test_all_methods_differ_in_colour_and_in_more_than_colour(tmp_path: Path) -> None:
    builder = RunBuilder(tmp_path)
    for index in range(35):
        builder.done("none" if index == 0 else f"m{index:02}", 0.5 + 0.001 * index)
    figure, _ = figure_of(builder)
    lines = [line for line in figure.axes[0].get_lines() if line.get_marker() not in ("None", None, "")]
    assert len(lines) == MOST_METHODS
    styles = {(line.get_color(), line.get_marker()) for line in lines}
    without_colour = {(line.get_marker(), str(line._unscaled_dash_pattern)) for line in lines}
    assert (len(styles), len(without_colour)) == (MOST_METHODS, MOST_METHODS)
    assert legend_of(figure)[1] == "none  50.00"
    assert legend_of(figure)[2] == "m34  53.40"
    assert "10 methods not drawn" in figure.axes[0].get_title(loc="left")


def test_legend_and_panels_do_not_overlap(tmp_path: Path) -> None:
    builder = RunBuilder(tmp_path)
    for index in range(20):
        label = "none" if index == 0 else f"method {index} " + "W" * 60
        builder.done("none" if index == 0 else f"m{index}", 0.5 + 0.01 * index, label=label)
        builder.done("none" if index == 0 else f"m{index}", 0.5, student="other", label=label)
    figure, _ = figure_of(builder)
    figure.draw_without_rendering()
    boxes = [axes.get_window_extent() for axes in figure.axes]
    boxes += [axes.get_legend().get_window_extent() for axes in figure.axes if axes.get_legend()]
    assert len(boxes) == 6
    for index, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:index])
        assert box.x0 >= 0
        assert box.x1 <= figure.bbox.x1
        assert box.y0 >= 0


@pytest.mark.parametrize("label", ["_hidden", "$x^{$", "a|b_&%=<x>", "名前 😀", "x" * 200, "line\nbreak"])
def test_hostile_labels_are_drawn_as_they_are(tmp_path: Path, label: str) -> None:
    builder = RunBuilder(tmp_path)
    builder.done("none", 0.5)
    builder.done("m", 0.6, label=label)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure, _ = figure_of(builder)
        render(figure, "png")
        render(figure, "svg")
    shown = legend_of(figure)[-1]
    assert shown.startswith(label.replace("\n", " ")[:20])
    assert len(shown) < 60


def test_nothing_to_draw_is_written_on_the_figure() -> None:
    figure = score_over_steps([], {})
    assert "no cell has finished" in figure.texts[0].get_text()
    assert render(figure, "png").startswith(b"\x89PNG")
