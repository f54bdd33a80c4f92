from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations, pairwise
from pathlib import Path

import matplotlib as mpl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from bench.base.errors import BenchError
from bench.base.files import write_json
from bench.leaderboard import Board, Row, leaderboard, load
from bench.report.figures import measured
from bench.report.figures.classes import MOST_CLASSES, class_heat_map
from bench.report.figures.gains import gains
from bench.report.figures.losses import loss_terms
from bench.report.figures.measured import MOST_BOARDS
from bench.report.figures.plots import figures, read_curves, write_plots
from bench.report.figures.style import KINDS, fitted, plain, render, signed, styled, text_width, usual_range
from bench.report.figures.sweeps import find_sweeps, hyperparameter_sweeps
from bench.report.figures.tradeoff import Point, front, score_over_cost, spread
from bench.store.folders import HISTORY
from bench.tasks.segmentation.scores import SCORING
from tests import run_builder
from tests.run_builder import RunBuilder

NAMES = ("gains", "miou_over_cost", "miou_over_steps", "loss_terms", "class_gains", "hyperparameters")

HOSTILE = [
    "_hidden",
    "$x^{$",
    "a|b_&%=<x>",
    "名前 テスト",
    "x" * 200,
    "W" * 200,
    "line\nbreak",
    "αβγ $\\frac{1}{2}$",
    "🙂",
]


def classes_of(builder: RunBuilder, monkeypatch: pytest.MonkeyPatch, names: list[str]) -> None:
    """Make every score of the builder tell these classes, the n-th n points above the mIoU."""
    plain_metrics = run_builder.metrics

    def metrics(miou: float | None) -> dict[str, object]:
        iou = {name: min(1.0, (miou or 0) * (1 + 0.01 * index)) for index, name in enumerate(names)}
        return {**plain_metrics(miou), "iou": iou if miou is not None else {}}

    monkeypatch.setattr(run_builder, "metrics", metrics)


def add(builder: RunBuilder, method: str, score: float, seed: int = 0, **given: object) -> None:
    folder = builder.done(method, score, seed, **given)
    terms = {"ce": 2.0 - score, f"term_{method}": 1000.0 * score, "signed": -score}
    steps = [
        {"iteration": i, "lr": 0.1, "terms": {k: v * 0.6 ** (i / 90) for k, v in terms.items()}} for i in (90, 900)
    ]
    evals = [{"iteration": 90 * step, "miou": score * (1 - 0.5**step)} for step in range(1, 11)]
    write_json(folder.path / HISTORY, {"steps": steps, "evals": evals})


def rich(builder: RunBuilder, n_methods: int, n_seeds: int, names: list[str] = HOSTILE) -> list[Board]:
    """Return the boards of a run with long names, a sweep, large gains and losses, and intervals over images."""
    noise = random.Random(0)
    for index in range(n_methods):
        method = "none" if index == 0 else "kd" if index < 4 else f"m{index}"
        label = method if index == 0 else f"{names[index % len(names)]} {index}"
        params = {"tau_$x$": 2.0**index, "other": index == 3} if method == "kd" else {}
        effect = {0: 0.0, 2: 0.3, 5: -0.45}.get(index, 0.01 * noise.gauss(0, 1))
        for seed in range(n_seeds):
            add(builder, method, 0.5 + effect + 0.01 * noise.random(), seed, label=label, params=params)
    builder.failed("broken")
    return [replace(board, rows=tuple(map(with_images, board.rows))) for board in leaderboard(load(builder.run))]


def with_images(row: Row) -> Row:
    if row.gain_mean is None:
        return row
    return replace(row, image_gain_low=row.gain_mean - 0.02, image_gain_high=row.gain_mean + 0.01)


def written(figure: Figure) -> Iterator[Text]:
    """Yield the texts that are drawn: of ticks only those within the axes."""
    with styled():
        figure.draw_without_rendering()
    ticks = {label for axes in figure.axes for axis in (axes.xaxis, axes.yaxis) for label in labels_of(axis, True)}
    shown = {
        label
        for axes in figure.axes
        if axes.axison
        for axis in (axes.xaxis, axes.yaxis)
        for label in labels_of(axis, False)
    }
    for text in figure.findobj(Text):
        hidden = (
            text.axes is not None and not text.axes.axison and text in (text.axes.xaxis.label, text.axes.yaxis.label)
        )
        if text.get_visible() and text.get_text().strip() and not hidden and (text not in ticks or text in shown):
            yield text


def labels_of(axis: object, everything: bool) -> list[Text]:
    ticks = [*axis.majorTicks, *axis.minorTicks] if everything else axis._update_ticks()  # type: ignore[attr-defined]
    return [label for tick in ticks for label in (tick.label1, tick.label2)]


def check_texts(figure: Figure) -> None:
    with styled():
        boxes = [(text.get_text(), text.get_window_extent()) for text in written(figure)]
    assert boxes
    page = figure.bbox
    for text, box in boxes:
        assert box.x0 >= -0.5, text
        assert box.y0 >= -0.5, text
        assert box.x1 <= page.x1 + 0.5, text
        assert box.y1 <= page.y1 + 0.5, text
    # A pixel of each edge is not ink.
    inner = [(text, Bbox.from_extents(b.x0 + 1, b.y0 + 1, b.x1 - 1, b.y1 - 1)) for text, b in boxes]
    touching = [(first, second) for (first, a), (second, b) in combinations(inner, 2) if a.overlaps(b)]
    assert touching == []


@pytest.mark.parametrize(("n_methods", "n_seeds"), [(26, 3), (2, 1), (1, 2)])
def test_no_text_touches_another_or_leaves_the_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n_methods: int, n_seeds: int
) -> None:
    builder = RunBuilder(tmp_path)
    classes_of(builder, monkeypatch, [f"{HOSTILE[i % len(HOSTILE)]}{i}" for i in range(15 if n_methods > 2 else 2)])
    drawn = figures(rich(builder, n_methods, n_seeds))
    expected = {26: set(NAMES), 2: set(NAMES) - {"hyperparameters"}, 1: set(NAMES[1:4])}[n_methods]
    assert set(drawn) == expected
    for figure in drawn.values():
        check_texts(figure)


def test_every_file_is_written_and_the_same_every_time(tmp_path: Path) -> None:
    boards = rich(RunBuilder(tmp_path / "run"), 4, 1)
    files = write_plots(boards, tmp_path / "first")
    assert [file.name for file in files] == [f"{name}.{kind}" for name in NAMES for kind in KINDS]
    again = figures(boards)
    compared = [file for file in files if file.suffix != ".pdf" or file.stem == "gains"]
    assert all(file.read_bytes() == render(again[file.stem], file.suffix[1:]) for file in compared)
    starts = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}
    assert all(file.read_bytes().startswith(starts[file.suffix]) for file in files)


def test_without_a_result_there_is_one_figure_that_says_so_and_no_old_file(tmp_path: Path) -> None:
    (tmp_path / "gains.png").write_bytes(b"of another time")
    builder = RunBuilder(tmp_path / "run")
    builder.failed("none")
    builder.failed("kd")
    for boards in ([], leaderboard(load(builder.run))):
        assert [file.stem for file in write_plots(boards, tmp_path)] == ["miou_over_steps"] * len(KINDS)
        assert not (tmp_path / "gains.png").exists()


def test_a_folder_that_cannot_be_written_to_is_the_users_problem(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BenchError, match="cannot write to"):
        write_plots([], tmp_path / "file")


def test_without_baseline_there_are_scores_but_no_gains(tmp_path: Path) -> None:
    builder = RunBuilder(tmp_path)
    add(builder, "kd", 0.5, params={"tau": 1})
    add(builder, "kd", 0.6, params={"tau": 2}, label="kd (tau=2)")
    assert set(figures(leaderboard(load(builder.run)))) == {"miou_over_cost", "miou_over_steps", "loss_terms"}


def test_boards_beyond_the_most_are_told(tmp_path: Path) -> None:
    builder = RunBuilder(tmp_path)
    for index in range(MOST_BOARDS + 2):
        builder.done("none", 0.5, dataset=f"set {index:02}")
        builder.done("kd", 0.6, dataset=f"set {index:02}")
    figure = gains(leaderboard(load(builder.run)))
    assert figure is not None
    texts = [text.get_text() for text in figure.texts]
    assert texts[0] == f"The first {MOST_BOARDS} of {MOST_BOARDS + 2} tables are drawn."
    assert sum(text.startswith("set ") for text in texts) == MOST_BOARDS


def test_gains_stand_by_tier_with_interval_seeds_and_number(tmp_path: Path) -> None:
    builder = RunBuilder(tmp_path)
    for seed in range(3):
        builder.done("none", 0.5 + 0.001 * seed, seed)
        builder.done("up", 0.6 + 0.0011 * seed, seed)
        builder.done("down", 0.4 + 0.0012 * seed, seed)
    (board,) = leaderboard(load(builder.run))
    figure = gains([board])
    assert figure is not None
    texts = [text.get_text() for text in figure.texts]
    assert [text for text in texts if text in ("up", "none (baseline)", "down")] == ["up", "none (baseline)", "down"]
    row = next(row for row in board.rows if row.label == "up")
    assert row.gain_low is not None
    assert row.gain_high is not None
    assert f"+10.01 [{signed(100 * row.gain_low)}, {signed(100 * row.gain_high)}]" in texts
    axes = next(axes for axes in figure.axes if axes.axison)
    seeds = [list(line.get_xdata()) for line in axes.get_lines() if len(line.get_xdata()) == 3]
    assert seeds == [pytest.approx([10, 10.01, 10.02]), pytest.approx([-10, -9.98, -9.96])]
    low, high = axes.get_xlim()
    assert low < -10
    assert high > 10.02


def test_a_method_far_off_is_an_arrow_at_the_edge(tmp_path: Path) -> None:
    builder = RunBuilder(tmp_path)
    builder.done("none", 0.5)
    for index in range(6):
        builder.done(f"m{index}", 0.51 + 0.001 * index)
    builder.done("failure", 0.02)
    figure = gains(leaderboard(load(builder.run)))
    assert figure is not None
    axes = next(axes for axes in figure.axes if axes.axison)
    assert axes.get_xlim()[0] > -5
    assert [line.get_xdata()[0] for line in axes.get_lines() if line.get_marker() == "<"] == [axes.get_xlim()[0]]
    assert "−48.00" in [text.get_text() for text in figure.texts]  # noqa: RUF001


def model(score: float, params: float | None, fps: float | None = None) -> Point:
    return Point(Row("m", "m", score_mean=score, params=params, fps=fps), SCORING.primary, "small")


def test_the_front_holds_the_models_that_none_beats() -> None:
    small, better, worse, large, unknown = (
        model(0.5, 10), model(0.6, 10), model(0.55, 20), model(0.7, 30), model(0.9, None)
    )  # fmt: skip
    assert front([large, worse, small, better, unknown], "params") == [better, large]
    fast, slow, slower = model(0.5, 1, 100), model(0.6, 1, 50), model(0.55, 1, 25)
    assert front([slower, fast, slow], "fps") == [fast, slow]


def test_names_keep_their_scores_order_at_the_height_of_the_points(tmp_path: Path) -> None:
    builder = RunBuilder(tmp_path)
    for index in range(12):
        builder.done("none" if index == 0 else f"m{index:02}", 0.5 + 0.0001 * index)
    figure = score_over_cost(leaderboard(load(builder.run)))
    assert figure is not None
    names = [
        text for text in figure.texts if text.get_text().split()[0] in {"teacher", "none"} or text.get_text()[0] == "m"
    ]
    assert [text.get_text().split()[0] for text in names] == [
        "teacher",
        *(f"m{i:02}" for i in range(11, 0, -1)),
        "none",
    ]
    heights = [text.get_position()[1] for text in names]
    assert heights == sorted(heights, reverse=True)


def test_baseline_of_two_pairs_is_one_point(tmp_path: Path) -> None:
    builder = RunBuilder(tmp_path)
    builder.done("none", 0.5)
    for teacher in ("big", "huge"):
        builder.done("kd", 0.6, teacher=teacher)
    figure = score_over_cost(leaderboard(load(builder.run)))
    assert figure is not None
    texts = sorted(text.get_text() for text in figure.texts[1:])
    assert texts == [
        "big→small: kd  60.00",
        "huge→small: kd  60.00",
        "small: none  50.00",
        "teacher big  72.00",
        "teacher huge  72.00",
    ]


def test_speeds_of_other_settings_are_left_out_and_told(tmp_path: Path) -> None:
    builder = RunBuilder(tmp_path)
    for student, device in (("a", "cpu: one"), ("b", "cpu: one"), ("c", "gpu: two")):
        builder.done("none", 0.5, student=student, device=device)
    figure = score_over_cost(leaderboard(load(builder.run)))
    assert figure is not None
    assert figure.axes[2].get_xlabel() == "FPS (32-true, batch of 1)\ncpu: one\n1 timed elsewhere left out"


@given(
    st.lists(st.floats(0, 100), min_size=1, max_size=30),
    st.floats(0.1, 3),
)
def test_spread_places_are_apart_within_the_range_and_in_order(values: list[float], distance: float) -> None:
    places = spread(values, distance, 0, 100)
    ordered = sorted(places)
    assert all(second - first >= distance - 1e-9 for first, second in pairwise(ordered))
    assert ordered[0] >= -1e-9
    assert ordered[-1] <= 100 + 1e-9
    assert all(a < b for (v, a), (w, b) in combinations(zip(values, places, strict=True), 2) if v < w)


def test_spread_leaves_values_that_are_apart_where_they_are() -> None:
    assert spread([5, 1, 9], 2, 0, 10) == pytest.approx([5, 1, 9])


def test_the_classes_with_the_largest_change_are_shown_with_their_sign(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    builder = RunBuilder(tmp_path)
    names = [f"class {index}" for index in range(150)]
    classes_of(builder, monkeypatch, names)
    for seed in range(2):
        builder.done("none", 0.3, seed)
        builder.done("up", 0.4, seed)
        builder.done("down", 0.2, seed)
    figure = class_heat_map(leaderboard(load(builder.run)))
    assert figure is not None
    texts = [text.get_text() for text in figure.texts]
    assert [text for text in texts if text.startswith("class ")] == names[-MOST_CLASSES:]
    assert any("the 40 of 150 classes with the largest change" in text for text in texts)
    cells = [text.get_text() for text in figure.axes[0].texts]
    assert len(cells) == 2 * MOST_CLASSES
    assert {text[0] for text in cells[:MOST_CLASSES]} == {"+"}
    assert {text[0] for text in cells[MOST_CLASSES:]} == {"−"}  # noqa: RUF001
    check_texts(figure)


def test_classes_without_a_value_are_left_empty(tmp_path: Path) -> None:
    builder = RunBuilder(tmp_path)  # its class "1" has none
    builder.done("none", 0.5)
    builder.done("kd", 0.6)
    figure = class_heat_map(leaderboard(load(builder.run)))
    assert figure is not None
    assert [text.get_text() for text in figure.axes[0].texts] == ["+10", "+10"]


def test_a_sweep_varies_one_number_and_nothing_else(tmp_path: Path) -> None:
    builder = RunBuilder(tmp_path)
    builder.done("none", 0.5)
    for tau, weight in [(1, 1.0), (2, 1.0), (8, 1.0), (1, 0.5), (2, 0.5), (4, 0.1)]:
        label = f"kd {tau} {weight}"
        builder.done("kd", 0.5 + 0.01 * tau, params={"tau": tau, "weight": weight, "flag": tau > 9}, label=label)
    (board,) = leaderboard(load(builder.run))
    tau_sweep, weight_sweep = find_sweeps(board)
    assert (tau_sweep.name, weight_sweep.name) == ("tau", "weight")
    assert {label: list(line) for label, line in tau_sweep.lines.items()} == {
        "weight=1": [1, 2, 8],
        "weight=0.5": [1, 2],
    }
    assert {label: list(line) for label, line in weight_sweep.lines.items()} == {"tau=1": [0.5, 1], "tau=2": [0.5, 1]}
    figure = hyperparameter_sweeps([board])
    assert figure is not None
    panel = figure.axes[0]
    assert panel.get_xscale() == "log"
    assert [label.get_text() for label in panel.get_xticklabels()] == ["1", "2", "8"]
    drawn = [line for line in panel.get_lines() if len(line.get_xdata()) == 3]
    assert [list(line.get_ydata()) for line in drawn] == [pytest.approx([1, 2, 8])]
    low, high = panel.get_ylim()
    assert low <= 0 < 8 <= high


def test_a_sweep_with_zero_has_room_for_all_values(tmp_path: Path) -> None:
    builder = RunBuilder(tmp_path)
    builder.done("none", 0.5)
    for weight in (0.0, 0.01, 1.0, 100.0):
        builder.done("kd", 0.5, params={"weight": weight}, label=f"kd {weight}")
    figure = hyperparameter_sweeps(leaderboard(load(builder.run)))
    assert figure is not None
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["0", "0.01", "1", "100"]


def test_loss_terms_are_logarithmic_only_where_positive_and_wide(tmp_path: Path) -> None:
    builder = RunBuilder(tmp_path)
    add(builder, "kd", 0.5)
    drawn = figures(leaderboard(load(builder.run)))["loss_terms"]
    scales = {axes.get_title(loc="left"): axes.get_yscale() for axes in drawn.axes}
    assert scales == {"ce": "log", "term_kd": "log", "signed": "linear"}


def test_lines_of_a_loss_differ_without_colour(tmp_path: Path) -> None:
    boards = rich(RunBuilder(tmp_path), 25, 1)
    drawn = loss_terms(boards, read_curves(boards)[0])
    assert drawn is not None
    looks = [(line.get_marker(), str(line._unscaled_dash_pattern)) for line in drawn.axes[0].get_lines()]
    assert len(looks) == 25
    assert len(set(looks)) == 25


@given(st.text(max_size=80), st.floats(0.3, 3))
def test_fitted_names_fit(text: str, inches: float) -> None:
    with styled():
        assert text_width(fitted(text, inches), 7.5) <= inches


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.25, "0.25"), (1200, "1200"), (5e-7, "5e−7"), (0, "0"), (-2, "−2"), (1e9, "1e9")],  # noqa: RUF001
)
def test_numbers_on_ticks(value: float, text: str) -> None:
    assert plain(value) == text


def test_signs() -> None:
    assert [signed(value) for value in (1.234, -1.2, -0.001, 0.0)] == ["+1.23", "−1.20", "0.00", "0.00"]  # noqa: RUF001


def test_the_usual_range_leaves_out_what_is_far_off() -> None:
    assert usual_range([1, 2, 3, 4, 90], 0.1) == (1, 4)
    assert usual_range([1, 90], 0.1) == (1, 90)


def test_drawing_leaves_the_users_settings_alone(tmp_path: Path) -> None:
    before = dict(mpl.rcParams)
    boards = rich(RunBuilder(tmp_path), 3, 1)
    plainly = gains(boards)
    assert plainly is not None
    expected = render(plainly, "svg")
    with mpl.rc_context({"font.size": 30, "axes.grid": True, "text.usetex": True, "lines.linewidth": 9}):
        figure = gains(boards)
        assert figure is not None
        assert render(figure, "svg") == expected
    assert dict(mpl.rcParams) == before


def test_as_many_boards_are_drawn_together_as_their_rows_can_be_read(tmp_path):
    builder = RunBuilder(tmp_path / "run")
    for student, n_methods in (("a", 60), ("b", 59), ("c", 2)):
        for index in range(n_methods):
            builder.done("none" if index == 0 else f"m{index}", 0.5, student=student)
    boards = leaderboard(load(builder.run))
    assert [len(board.rows) for board in boards] == [60, 59, 2]
    assert measured.finished(boards) == boards[:2]  # 119 rows; the third would make 121
    assert measured.boards_note(boards, 2) == "The first 2 of 3 tables are drawn."
    assert measured.finished(boards[2:]) == boards[2:]
    assert measured.boards_note(boards[:2], 2) == ""
