"""Reports of a task whose score is an error in metres, of which no code is here."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from bench.leaderboard import Board, leaderboard, load, read_plan
from bench.report import build_report
from bench.report.columns import filled
from bench.report.figures.measured import by_row, class_gains, seed_gains
from bench.report.figures.plots import figures
from bench.report.page.page import page
from bench.report.text.latex import latex
from bench.report.text.markdown import markdown
from bench.report.text.tables import csv as table
from tests.depth_run import depth_run, fill, with_errors
from tests.report.page.page_run import data_of
from tests.run_builder import RunBuilder

ERRORS = {"none": (0.50, 0.52, 0.51), "kd": (0.401, 0.42, 0.409), "cwd": (0.601, 0.62, 0.612)}


@pytest.fixture
def builder(tmp_path: Path) -> RunBuilder:
    made = depth_run(tmp_path / "run")
    for student in ("small", "tiny"):
        fill(made, ERRORS, student=student)
    made.plan()
    return made


@pytest.fixture
def boards(builder: RunBuilder) -> list[Board]:
    return leaderboard(load(builder.run))


def words_of(figure: Figure) -> list[str]:
    axes = [text for found in figure.axes for text in (found.get_xlabel(), found.get_ylabel(), found.get_title())]
    return [*axes, *(text.get_text() for text in figure.texts)]


def test_markdown_tells_metric_unit_direction_and_gain(builder: RunBuilder, boards: list[Board]) -> None:
    text = markdown(read_plan(builder.run), boards)
    assert "RMSE (m)" in text
    assert "delta 1 (%)" in text
    kd = next(line for line in text.splitlines() if line.startswith("| kd") and "0.410 ± 0.010 (3)" in line)
    assert "+0.100 [+0.0" in kd
    assert "79.50" in kd
    assert "**1**" in kd
    for sentence in (
        "- RMSE: mean over n seeds ± the sample standard deviation over them, (n)",
        "- Gain: difference to none on the same seeds, in m, positive where it is lower, with its 95 %",
        "- How RMSE is counted: over all pixels of the split whose depth is known; lower is better.",
        "- delta 1: share of the pixels that are off by a quarter at most.",
        "- Gain over none in m, mean over the seeds",
    ):
        assert sentence in text
    assert "none (RMSE, m)" in text
    assert "points" not in text
    assert "mIoU" not in text


def test_csv_names_the_columns_by_the_metrics(boards: list[Board]) -> None:
    rows = list(csv.DictReader(io.StringIO(table(boards))))
    kd = next(row for row in rows if row["label"] == "kd")
    assert float(kd["rmse_mean"]) == pytest.approx(0.41)
    assert float(kd["gain_mean"]) == pytest.approx(0.1)
    assert float(kd["delta1"]) == pytest.approx(0.795)
    assert {"rmse_sd", "rmse_low", "rmse_high"} <= kd.keys()
    assert not {"miou_mean", "macc", "score_mean"} & kd.keys()


def test_latex_sets_the_lowest_error_in_bold(boards: list[Board]) -> None:
    text = latex(boards)
    assert "RMSE (m)" in text
    assert r"\textbf{0.410 $\pm$ 0.010 (3)}" in text
    assert r"\textbf{0.5" not in text
    assert "Gain: paired by seed, in m, with 95" in text
    assert "gain over none in m." in text
    assert "none (RMSE)" in text


def test_a_metric_stands_where_its_record_says(boards: list[Board]) -> None:
    headers = [column.header for column in filled(boards[0], "terminal")]
    assert headers[:2] == ["RMSE (m)", "Gain [95 %]"]
    assert "delta 1 (%)" in headers


def test_page_data_are_in_the_unit_with_the_sign(builder: RunBuilder, boards: list[Board]) -> None:
    text = page(builder.run.path, read_plan(builder.run), boards)
    data: Any = data_of(text)
    metric = data[0]["metric"]
    assert metric["axis"] == "RMSE (m), lower is better"
    assert (metric["sign"], metric["scale"], metric["digits"], metric["differenceUnit"]) == (-1, 1, 3, "m")
    kd = next(row for row in data[0]["rows"] if row["name"] == "kd")
    assert kd["values"]["score"] == pytest.approx(0.41)
    assert kd["values"]["gain"] == pytest.approx(0.1)
    assert ["Gain (m)", "+0.100 ± 0.001"] in kd["tip"]
    classes = data[0]["classes"]
    assert (classes["names"], classes["sign"], classes["unit"]) == (["near", "far"], -1, "m")
    scores = {row["label"]: (row["score"], row["gain"]) for row in classes["rows"]}
    assert scores["kd"] == ([0.205, 0.82], [0.05, 0.2])
    curves = data[0]["curves"]
    assert curves["teacher"] == 0.2
    last = next(row for row in curves["rows"] if row["label"] == "kd")["seeds"][0][-1]
    assert last == [900, round(0.401 * (1 - 0.5**10), 3)]
    body = text[: text.index('<script type="application/json"')]
    assert "RMSE of none minus that of the method on the same seed, in m, positive for better" in body
    assert "Gain over none in m on every pair" in body
    assert "of none the RMSE in m." in body
    assert "mIoU" not in text
    assert "percentage points" not in body


def test_plots_tell_the_error_and_that_lower_is_better(boards: list[Board]) -> None:
    drawn = figures(boards)
    assert list(drawn) == ["gains", "rmse_over_cost", "rmse_over_steps", "class_gains"]
    assert "gain over none (m of RMSE)" in words_of(drawn["gains"])
    assert "RMSE (m), lower is better" in words_of(drawn["rmse_over_cost"])
    assert "RMSE (m), lower is better" in words_of(drawn["rmse_over_steps"])
    assert "gain over none by class, in m of RMSE" in words_of(drawn["class_gains"])
    assert not [word for figure in drawn.values() for word in words_of(figure) if "mIoU" in word or "points" in word]


def test_gains_are_drawn_to_the_right_where_the_error_falls(boards: list[Board]) -> None:
    assert seed_gains(boards[0])["kd"] == pytest.approx([0.099, 0.1, 0.101])
    assert class_gains(boards[0])["cwd"] == {"near": pytest.approx(-0.0505), "far": pytest.approx(-0.202)}
    gains = next(axes for axes in figures(boards)["gains"].axes if axes.axison)
    seeds = [list(line.get_xdata()) for line in gains.get_lines() if len(line.get_xdata()) == 3]
    assert pytest.approx([0.099, 0.1, 0.101]) in seeds


def test_a_report_has_every_file_and_scores_of_single_images(tmp_path: Path) -> None:
    made = depth_run(tmp_path / "run")
    noise = np.random.default_rng(0)
    errors = noise.uniform(0.2, 0.4, size=30)
    for method, share in (("none", 1.0), ("kd", 0.5)):
        with_errors(made.done(method, 0.5 * share), share * errors)
    made.plan()
    report = build_report(made.run)
    assert report.problems == ()
    assert {"rmse_over_cost.png", "rmse_over_steps.svg"} <= {path.name for path in report.files}
    data: Any = data_of((made.run.path / "report.html").read_text())
    images = data[0]["images"]
    assert images["values"][images["labels"].index("kd")][0] == round(float(np.sqrt(0.5 * errors[0])), 3)


def test_plots_of_another_task_do_not_stay_in_the_folder(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "miou_over_cost.png").write_bytes(b"of another time")
    made = depth_run(tmp_path / "run")
    fill(made, {"none": (0.5,), "kd": (0.4,)})
    made.plan()
    build_report(made.run)
    assert not (tmp_path / "run" / "miou_over_cost.png").exists()


def test_tasks_of_several_runs_stand_in_tables_and_plots_of_their_own(tmp_path: Path) -> None:
    depth, plain = depth_run(tmp_path / "depth", dataset="rooms"), RunBuilder(tmp_path / "plain")
    for made, scores in ((depth, (0.5, 0.4)), (plain, (0.5, 0.6))):
        for method, score in zip(("none", "kd"), scores, strict=True):
            made.done(method, score)
        made.plan()
    report = build_report(depth.run, plain.run, output=tmp_path / "both")
    assert {board.metric.key: board.rows[1].label for board in report.boards} == {"miou": "kd", "rmse": "kd"}
    names = {path.stem for path in report.files}
    assert {"miou_over_cost", "rmse_over_cost", "miou_over_steps", "rmse_over_steps"} <= names
    rows = list(csv.DictReader(io.StringIO((tmp_path / "both" / "leaderboard.csv").read_text())))
    assert {bool(row["rmse_mean"]) != bool(row["miou_mean"]) for row in rows} == {True}


def test_hostile_words_of_a_metric_stay_text(tmp_path: Path) -> None:
    from dataclasses import replace

    from tests.depth_run import DELTA, DEPTH, RMSE

    hostile = "</script><b>|[x](y)$x^{$"
    other = replace(DELTA, key="=cmd()", header=hostile)
    primary = replace(RMSE, header=hostile)
    made = depth_run(tmp_path / "run", replace(DEPTH, metrics=(primary, other)))
    fill(made, {"none": (0.5, 0.52), "kd": (0.4, 0.41)})
    made.plan()
    build_report(made.run)
    assert "</script><b>" not in (made.run.path / "report.html").read_text()
    assert "<b>" not in (made.run.path / "leaderboard.md").read_text()
    assert "'=cmd()" in (made.run.path / "leaderboard.csv").read_text().splitlines()[0]


def test_figures_take_the_cells_that_the_table_takes(tmp_path: Path) -> None:
    made = RunBuilder(tmp_path / "run")
    made.done("none", 0.5)
    left_over = made.done("kd", 0.6)
    made.failed("kd", salt=1)
    made.plan(leave_out=[left_over.cell_id])
    (board,) = leaderboard(load(made.run))
    assert next(row for row in board.rows if row.label == "kd").score_mean is None
    assert list(by_row(board)) == ["none"]
