from __future__ import annotations

import json
import math
import shutil
import statistics
from pathlib import Path

import pytest

from bench.base.files import write_json
from bench.leaderboard import NO_BASELINE, UNKNOWN, Board, Row, across_pairs, leaderboard, load, read_plan
from bench.store.folders import CONFIG, RESULT, RunFolder, seal
from tests.run_builder import TEACHER_SCORE, RunBuilder


@pytest.fixture
def builder(tmp_path: Path) -> RunBuilder:
    return RunBuilder(tmp_path / "run")


def boards_of(builder: RunBuilder) -> list[Board]:
    return leaderboard(load(builder.run))


def only_board(builder: RunBuilder) -> Board:
    (board,) = boards_of(builder)
    return board


def row_of(board: Board, label: str) -> Row:
    (row,) = (row for row in board.rows if row.label == label)
    return row


def test_mean_spread_and_gain_are_paired_by_seed(builder: RunBuilder) -> None:
    for seed, (baseline, distilled) in enumerate([(0.50, 0.53), (0.60, 0.61), (0.55, 0.60)]):
        builder.done("none", baseline, seed, train_s=10)
        builder.done("kd", distilled, seed, train_s=20 + seed)
    board = only_board(builder)
    row = row_of(board, "kd")
    assert [r.label for r in board.rows] == ["none", "kd"]
    assert row.score_mean == pytest.approx(0.58)
    assert row.score_sd == pytest.approx(math.sqrt(0.0019))  # deviations -0.05, 0.03, 0.02 over n - 1 = 2
    assert row.gain_mean == pytest.approx(0.03)
    assert row.gain_sd == pytest.approx(0.02)  # gains 0.03, 0.01, 0.05; not the spread of two unpaired means
    assert (row.n_seeds, row.n_paired) == (3, 3)
    assert row.cost_rel == pytest.approx(63 / 30)
    assert row.metrics == {"macc": pytest.approx(0.63), "pixel_accuracy": pytest.approx(0.78)}
    assert (row.params, row.macs, row.flops, row.fps) == (21027, 160 * 21027, 320 * 21027, 850)
    assert (row.terms, row.states, row.notes) == (("ce", "kd"), {}, ())
    baseline_row = row_of(board, "none")
    assert (baseline_row.gain_mean, baseline_row.n_paired, baseline_row.cost_rel) == (None, 0, 1.0)
    assert board.watermark is None


def test_one_seed_has_no_spread(builder: RunBuilder) -> None:
    builder.done("none", 0.5)
    builder.done("kd", 0.52)
    row = row_of(only_board(builder), "kd")
    assert (row.n_seeds, row.score_sd, row.gain_sd) == (1, None, None)
    assert row.gain_mean == pytest.approx(0.02)


def test_unequal_seeds_pair_the_common_ones_and_say_so(builder: RunBuilder) -> None:
    for seed, miou in enumerate([0.5, 0.6]):
        builder.done("none", miou, seed)
    builder.done("kd", 0.61, 1)
    builder.failed("kd", 0)
    builder.done("cwd", 0.55, 1)
    builder.done("cwd", 0.65, 2)
    board = only_board(builder)
    kd, cwd = row_of(board, "kd"), row_of(board, "cwd")
    assert (kd.n_seeds, kd.n_paired, kd.gain_mean) == (1, 1, pytest.approx(0.01))
    assert kd.states == {"diverged": 1}
    assert kd.notes == ("n=1 of 3: seed 0 diverged, seed 2 not run",)
    assert (cwd.n_seeds, cwd.n_paired, cwd.gain_mean) == (2, 1, pytest.approx(-0.05))
    assert "gain over n=1 of 2: none has no score on the other seeds" in cwd.notes
    assert board.footnotes() == list(dict.fromkeys(note for row in board.rows for note in row.notes))


def test_order_is_baseline_then_score_then_rows_without_score(builder: RunBuilder) -> None:
    builder.failed("aaa", status="failed")
    for method, miou in [("kd", 0.4), ("none", 0.5), ("cwd", 0.6), ("at", 0.55)]:
        builder.done(method, miou)
    builder.plan(more=[builder.cell("zzz")], skipped=[builder.cell("mmm")])
    board = only_board(builder)
    assert [row.label for row in board.rows] == ["none", "cwd", "at", "kd", "aaa", "mmm", "zzz"]
    assert [dict(row.states) for row in board.rows[4:]] == [{"failed": 1}, {"skipped": 1}, {"planned": 1}]
    assert [row.score_mean for row in board.rows[4:]] == [None, None, None]
    reasons = board.cells.set_index("row")["reason"]
    assert reasons["aaa"] == "the loss is not finite (iteration 17)"
    assert reasons["mmm"] == "the student has no embedding"


def test_baseline_without_score_stays_visible_and_gains_are_empty(builder: RunBuilder) -> None:
    builder.failed("none")
    builder.done("kd", 0.6)
    board = only_board(builder)
    assert board.watermark == NO_BASELINE
    assert row_of(board, "none").states == {"diverged": 1}
    assert (row_of(board, "kd").gain_mean, row_of(board, "kd").cost_rel) == (None, None)


def test_run_without_baseline_is_watermarked(builder: RunBuilder) -> None:
    builder.done("kd", 0.6)
    builder.done("cwd", 0.7)
    board = only_board(builder)
    assert board.watermark == NO_BASELINE
    assert [row.gain_mean for row in board.rows] == [None, None]


def test_teacher_is_told_but_not_ranked(builder: RunBuilder) -> None:
    builder.done("none", 0.5)
    builder.done("kd", 0.6)
    board = only_board(builder)
    assert board.teacher_row is not None
    assert (board.teacher_row.label, board.teacher_row.score_mean) == ("big", TEACHER_SCORE)
    assert board.teacher_row.params == 1_234_567
    assert "big" not in [row.label for row in board.rows]


def test_two_protocols_make_two_boards_that_name_the_difference(builder: RunBuilder) -> None:
    for crop, (baseline, distilled) in {64: (0.5, 0.6), 128: (0.7, 0.71)}.items():
        builder.done("none", baseline, crop=crop)
        builder.done("kd", distilled, crop=crop)
    boards = boards_of(builder)
    assert len({board.protocol for board in boards}) == 2
    assert sorted(row_of(board, "kd").gain_mean for board in boards) == [pytest.approx(0.01), pytest.approx(0.1)]
    for board in boards:
        (other,) = (b for b in boards if b is not board)
        crop, there = (64, 128) if row_of(board, "none").score_mean == 0.5 else (128, 64)
        assert board.notes == (
            f"not comparable with protocol {other.protocol}: recipe.crop: {crop} here, {there} there",
        )


def test_baseline_of_another_protocol_is_never_used(builder: RunBuilder) -> None:
    builder.done("none", 0.5, crop=128)
    builder.done("kd", 0.6, crop=64)
    board = next(board for board in boards_of(builder) if board.teacher)
    assert [row.label for row in board.rows] == ["kd"]
    assert board.watermark == NO_BASELINE


def test_baseline_is_shared_by_two_teachers_of_one_student(builder: RunBuilder) -> None:
    builder.done("none", 0.5)
    builder.done("kd", 0.6, teacher="big")
    builder.done("kd", 0.7, teacher="huge")
    builder.done("kd", 0.9, teacher="third", student="other")
    boards = {(board.teacher, board.student): board for board in boards_of(builder)}
    assert set(boards) == {("big", "small"), ("huge", "small"), ("third", "other")}
    assert row_of(boards["big", "small"], "kd").gain_mean == pytest.approx(0.1)
    assert row_of(boards["huge", "small"], "kd").gain_mean == pytest.approx(0.2)
    assert row_of(boards["third", "other"], "kd").gain_mean is None


def test_two_students_of_one_name_are_told_apart_by_their_options(builder: RunBuilder) -> None:
    for width in (8, 16):
        builder.done("kd", 0.6, options={"width": width, "depth": 3})
    assert [board.student for board in boards_of(builder)] == ["small (options.width=16)", "small (options.width=8)"]


def test_two_hyperparameter_settings_of_one_label_are_two_rows(builder: RunBuilder) -> None:
    builder.done("none", 0.5)
    builder.done("kd", 0.6, label="kd", params={"tau": 1})
    builder.done("kd", 0.7, label="kd", params={"tau": 4})
    assert [row.label for row in only_board(builder).rows] == ["none", 'kd {"tau":4}', 'kd {"tau":1}']


def test_changed_result_is_corrupt_and_scores_nothing(builder: RunBuilder) -> None:
    builder.done("none", 0.5)
    path = builder.done("kd", 0.6).path / RESULT
    path.write_text(path.read_text().replace('"miou": 0.6', '"miou": 0.9'))
    board = only_board(builder)
    row = row_of(board, "kd")
    assert (row.score_mean, row.states) == (None, {"corrupt": 1})
    assert "does not match its digest" in board.cells.set_index("row").loc["kd", "reason"]


def test_newer_schema_is_corrupt_with_the_way_out(builder: RunBuilder) -> None:
    path = builder.done("kd", 0.6).path / RESULT
    record = json.loads(path.read_text())
    write_json(path, seal({**record, "schema": 2}))
    (cell,) = load(builder.run).to_dict("records")
    assert cell["state"] == "corrupt"
    assert "upgrade bench" in cell["reason"]


@pytest.mark.parametrize("missing", ["metrics", "cell", "files"])
def test_sealed_record_that_lacks_a_part_is_corrupt(builder: RunBuilder, missing: str) -> None:
    path = builder.done("kd", 0.6).path / RESULT
    record = json.loads(path.read_text())
    del record[missing]
    write_json(path, seal(record))
    (cell,) = load(builder.run).to_dict("records")
    assert (cell["state"], cell["label"]) == ("corrupt", "kd")
    assert missing in cell["reason"]
    assert math.isnan(cell["score"])


@pytest.mark.parametrize("value", ["0.9", True, [0.9]])
def test_score_that_is_no_number_is_corrupt(builder: RunBuilder, value: object) -> None:
    path = builder.done("kd", 0.6).path / RESULT
    record = json.loads(path.read_text())
    record["metrics"]["miou"] = value
    write_json(path, seal(record))
    assert list(load(builder.run)["state"]) == ["corrupt"]


def test_cell_of_which_nothing_is_readable_is_still_shown(builder: RunBuilder) -> None:
    builder.done("none", 0.5)
    folder = builder.done("kd", 0.6)
    (folder.path / RESULT).write_text("{")
    (folder.path / CONFIG).unlink()
    boards = boards_of(builder)
    assert [board.dataset for board in boards] == ["digits", UNKNOWN]
    assert [(row.label, row.states) for row in boards[1].rows] == [(folder.cell_id, {"corrupt": 1})]


def test_every_pixel_ignored_is_done_without_score(builder: RunBuilder) -> None:
    builder.done("none", 0.5, 0)
    builder.done("kd", None, 0)
    builder.done("kd", 0.6, 1)
    row = row_of(only_board(builder), "kd")
    assert (row.n_seeds, row.score_mean, row.gain_mean) == (1, 0.6, None)
    assert row.notes[0] == "n=1 of 2: seed 0 done without a score that counts"


def test_fps_of_another_device_leaves_the_column_for_a_footnote_and_cost_across_devices_is_empty(
    builder: RunBuilder,
) -> None:
    builder.done("none", 0.5, 0)
    builder.done("kd", 0.6, 0, device="cuda: X", fps=3000.0)
    board = only_board(builder)
    kd = row_of(board, "kd")
    assert (kd.fps, kd.cost_rel) == (None, None)
    told = "measured on cuda: X, 32-true, batch of 1, which the column does not compare: 3000 images a second"
    assert kd.notes == (told,)
    assert (row_of(board, "none").fps, row_of(board, "none").notes) == (850, ())
    assert board.teacher_row is not None
    assert board.teacher_row.fps == 210


def test_fps_of_seeds_timed_on_two_devices_is_left_out(builder: RunBuilder) -> None:
    for seed, device in enumerate(["cpu: test, 2 threads", "cuda: X"]):
        builder.done("none", 0.5, seed, device=device)
    row = row_of(only_board(builder), "none")
    assert row.fps is None
    assert "its seeds were timed in different settings" in row.notes[0]


def test_two_results_of_one_method_and_seed_are_not_averaged(builder: RunBuilder) -> None:
    builder.done("none", 0.5)
    first, second = builder.done("kd", 0.6), builder.done("kd", 0.8, salt=1)
    row = row_of(only_board(builder), "kd")
    assert (row.n_seeds, row.score_mean) == (0, None)
    assert first.cell_id in row.notes[0]
    assert second.cell_id in row.notes[0]
    builder.plan(leave_out=[first.cell_id])
    row = row_of(only_board(builder), "kd")
    assert (row.n_seeds, row.score_mean) == (1, 0.8)
    assert row.notes == (f"seed 0: left out {first.cell_id}: the plan lists {second.cell_id}",)


def test_stale_results_are_marked(builder: RunBuilder) -> None:
    builder.done("none", 0.5)
    builder.done("kd", 0.6, stale=True)
    board = only_board(builder)
    assert "other code, versions or data" in row_of(board, "kd").notes[0]
    assert row_of(board, "none").notes == ()


def test_planned_cells_without_folder_go_to_the_board_of_their_recipe(builder: RunBuilder) -> None:
    builder.done("none", 0.5, crop=64)
    builder.done("kd", 0.6, crop=64)
    builder.done("kd", 0.7, crop=128)
    builder.plan(more=[builder.cell("cwd", crop=128), builder.cell("cwd", crop=256)])
    boards = boards_of(builder)
    at = {board.protocol: [row.label for row in board.rows] for board in boards}
    assert sorted(at.values()) == [["cwd"], ["kd", "cwd"], ["none", "kd"]]
    assert at[""] == ["cwd"]


def test_interrupted_cell_is_shown(builder: RunBuilder) -> None:
    builder.done("none", 0.5)
    folder = builder.folder(builder.cell("kd"))
    (folder.path / "checkpoint.pt").write_bytes(b"x")
    assert row_of(only_board(builder), "kd").states == {"interrupted": 1}


def test_broken_plan_is_told_and_does_not_stop_the_tables(builder: RunBuilder) -> None:
    builder.done("none", 0.5)
    (builder.run.path / "plan.json").write_text('{"cells": [3]}')
    assert "plan.json cannot be read" in str(read_plan(builder.run).problem)
    assert len(only_board(builder).rows) == 1


def test_empty_run_has_no_boards(tmp_path: Path) -> None:
    cells = load(RunFolder(tmp_path))
    assert cells.empty
    assert leaderboard(cells) == []


def test_frame_keeps_raw_values(builder: RunBuilder) -> None:
    builder.done("none", 1 / 3, 0)
    builder.done("none", 2 / 3, 1)
    builder.done("kd", 0.6, 0)
    builder.failed("kd", 1)
    frame = only_board(builder).frame().set_index("label")
    assert list(frame["kind"]) == ["teacher", "method", "method"]
    assert frame.loc["none", "miou_sd"] == statistics.stdev([1 / 3, 2 / 3])
    assert frame.loc["kd", "states"] == {"diverged": 1}


def three_seeds(builder: RunBuilder, method: str, scores: tuple[float, float, float], **given: object) -> None:
    for seed, score in enumerate(scores):
        builder.done(method, score, seed, **given)


def test_intervals_are_students_over_seeds_and_over_paired_gains(builder: RunBuilder) -> None:
    three_seeds(builder, "none", (0.50, 0.60, 0.55))
    three_seeds(builder, "kd", (0.53, 0.61, 0.60))
    row = row_of(only_board(builder), "kd")
    t = 4.302653  # 97.5 % quantile of Student's t with 2 degrees of freedom
    assert row.gain_low == pytest.approx(0.03 - t * 0.02 / math.sqrt(3), abs=1e-6)
    assert row.gain_high == pytest.approx(0.03 + t * 0.02 / math.sqrt(3), abs=1e-6)
    assert row.score_low == pytest.approx(0.58 - t * math.sqrt(0.0019 / 3), abs=1e-6)
    assert row.gain_p == pytest.approx(0.1217, abs=1e-4)  # t = 0.03 / (0.02 / sqrt(3)) = 2.598
    assert row.detectable is not None
    assert row.detectable > row.gain_mean  # type: ignore[operator]


def test_p_values_are_adjusted_over_the_methods_of_the_board(builder: RunBuilder) -> None:
    three_seeds(builder, "none", (0.50, 0.60, 0.55))
    three_seeds(builder, "kd", (0.53, 0.61, 0.60))
    three_seeds(builder, "cwd", (0.53, 0.61, 0.60))
    board = only_board(builder)
    assert row_of(board, "kd").gain_p == pytest.approx(2 * 0.1217, abs=1e-4)
    assert row_of(board, "cwd").gain_p == row_of(board, "kd").gain_p
    assert row_of(board, "none").gain_p is None


def test_methods_that_the_seeds_cannot_tell_apart_share_a_tier(builder: RunBuilder) -> None:
    three_seeds(builder, "none", (0.500, 0.602, 0.551))
    three_seeds(builder, "kd", (0.601, 0.703, 0.650))
    three_seeds(builder, "cwd", (0.602, 0.702, 0.652))
    builder.failed("at")
    board = only_board(builder)
    assert {row.label: row.tier for row in board.rows} == {"none": 2, "kd": 1, "cwd": 1, "at": None}
    assert "one noise level for all methods" in str(board.tier_reason)


def test_a_method_far_noisier_than_the_others_makes_tiers_use_each_pairs_own_noise(builder: RunBuilder) -> None:
    for position in range(5):
        method = "none" if position == 0 else f"m{position}"
        for seed in range(6):
            wobble = 0.0004 * ((seed * 7 + position * 5) % 11 - 5)
            builder.done(method, 0.5 + 0.01 * seed + wobble * (60 if position == 4 else 1), seed)
    assert "each pair's own noise" in str(only_board(builder).tier_reason)


def test_one_seed_has_one_tier_with_the_reason_and_nothing_that_needs_a_spread(builder: RunBuilder) -> None:
    builder.done("none", 0.5)
    builder.done("kd", 0.9)
    board = only_board(builder)
    row = row_of(board, "kd")
    assert [r.tier for r in board.rows] == [1, 1]
    assert "one seed tells nothing apart" in str(board.tier_reason)
    assert (row.score_low, row.gain_low, row.gain_p, row.detectable) == (None, None, None, None)


def test_method_with_one_seed_among_others_has_its_tier_marked(builder: RunBuilder) -> None:
    three_seeds(builder, "none", (0.500, 0.602, 0.551))
    three_seeds(builder, "kd", (0.601, 0.703, 0.650))
    builder.done("cwd", 0.4, 0)
    row = row_of(only_board(builder), "cwd")
    assert row.tier == 1
    assert "tier without a test against any other method: one seed" in row.notes


def test_copies_of_one_result_count_once(builder: RunBuilder) -> None:
    builder.done("none", 0.5)
    folder = builder.done("kd", 0.6)
    copy = folder.path.with_name("copied-from-another-store")
    shutil.copytree(folder.path, copy)
    row = row_of(only_board(builder), "kd")
    assert (row.n_seeds, row.score_mean) == (1, 0.6)
    assert "the same result as" in row.notes[0]


def test_dataset_with_a_title_is_shown_under_it(builder: RunBuilder) -> None:
    for title, score in (("Pathology slides", 0.5), ("", 0.6)):
        folder = builder.done("none", score, crop=32 if title else 64)
        for name in (RESULT, CONFIG):
            record = json.loads((folder.path / name).read_text())
            record["cell"]["dataset"]["options"] = {"title": title}
            write_json(folder.path / name, seal(record))
    cells = load(builder.run)
    assert sorted(cells["dataset"]) == ["Pathology slides", "digits"]
    assert set(cells["dataset_name"]) == {"digits"}
    assert {board.dataset for board in leaderboard(cells)} == {"Pathology slides", "digits"}


def test_boundary_iou_is_told_where_it_was_taken(builder: RunBuilder) -> None:
    builder.done("none", 0.5)
    path = builder.done("kd", 0.6).path / RESULT
    record = json.loads(path.read_text())
    record["metrics"]["mean_boundary_iou"] = 0.41
    write_json(path, seal(record))
    board = only_board(builder)
    assert row_of(board, "kd").metrics["mean_boundary_iou"] == 0.41
    assert "mean_boundary_iou" not in row_of(board, "none").metrics


def test_memory_of_training_is_relative_to_the_baseline_on_the_same_device(builder: RunBuilder) -> None:
    for method, seed, peak, device in (
        ("none", 0, 200.0, "cuda: X"),
        ("kd", 0, 300.0, "cuda: X"),
        ("none", 1, 200.0, "cuda: X"),
        ("cwd", 1, 900.0, "cuda: Y"),
    ):
        path = builder.done(method, 0.5, seed, device=device).path / RESULT
        record = json.loads(path.read_text())
        record["efficiency"]["peak_mem_mib"] = record["cost"]["train_mem_mib"] = peak
        write_json(path, seal(record))
    board = only_board(builder)
    assert row_of(board, "kd").peak_mem_rel == 1.5
    assert (row_of(board, "cwd").peak_mem_rel, row_of(board, "cwd").peak_mem_mib) == (None, None)
    assert "peak memory 900 MiB" in row_of(board, "cwd").notes[-1]


def test_result_of_an_older_version_without_the_newer_fields_is_read(builder: RunBuilder) -> None:
    path = builder.done("none", 0.5).path / RESULT
    record = json.loads(path.read_text())
    for field in ("terms", "efficiency", "teacher", "cost", "environment"):
        record.pop(field)
    write_json(path, seal(record))
    row = row_of(only_board(builder), "none")
    assert (row.score_mean, row.fps, row.cost_rel, row.terms) == (0.5, None, None, ())


def test_pairs_of_one_protocol_stand_side_by_side(builder: RunBuilder) -> None:
    for student, gain in (("small", 0.02), ("tiny", 0.04)):
        three_seeds(builder, "none", (0.500, 0.602, 0.551), student=student)
        three_seeds(builder, "kd", (0.5 + gain, 0.602 + gain, 0.551 + gain), student=student)
    builder.done("cwd", 0.7, student="tiny")
    builder.done("none", 0.9, crop=128)  # another protocol
    (across,) = across_pairs(boards_of(builder))
    assert [board.student for board in across.boards] == ["small", "tiny"]
    assert [row.label for row in across.rows] == ["none", "kd", "cwd"]
    kd, cwd = across.rows[1:]
    assert (kd.gain_mean, kd.n_pairs) == (pytest.approx(0.03), 2)
    # t with one degree of freedom at 97.5 % is 12.7062; the standard error of 0.02 and 0.04 is 0.01
    assert (kd.gain_low, kd.gain_high) == (pytest.approx(0.03 - 0.127062), pytest.approx(0.03 + 0.127062))
    assert (cwd.rows[0], cwd.n_pairs, cwd.gain_low) == (None, 1, None)


def test_one_pair_has_no_table_across_pairs(builder: RunBuilder) -> None:
    builder.done("none", 0.5)
    builder.done("none", 0.5, crop=128)
    assert across_pairs(boards_of(builder)) == []
