from __future__ import annotations

import csv as standard_csv
import io
from pathlib import Path

from bench.leaderboard import NO_BASELINE, leaderboard, load
from bench.report.text.tables import csv
from tests.run_builder import RunBuilder


def rows_of(builder: RunBuilder) -> list[dict[str, str]]:
    return list(standard_csv.DictReader(io.StringIO(csv(leaderboard(load(builder.run))))))


def test_raw_values_in_full_precision(tmp_path: Path) -> None:
    builder = RunBuilder(tmp_path)
    builder.done("none", 2 / 3)
    builder.done("kd", 1 / 3)
    builder.failed("kd", 1)
    teacher, none, kd = rows_of(builder)
    assert [row["kind"] for row in (teacher, none, kd)] == ["teacher", "method", "method"]
    assert {(row["dataset"], row["teacher"], row["student"]) for row in (teacher, none, kd)} == {
        ("digits", "big", "small")
    }
    assert float(none["miou_mean"]) == 2 / 3
    assert float(kd["gain_mean"]) == 1 / 3 - 2 / 3
    assert kd["gain_mean"].startswith("-")  # a number is not taken for a formula
    assert (kd["miou_sd"], kd["states"], kd["terms"]) == ("", "1 diverged", "ce+kd")
    assert (none["watermark"], none["gain_mean"]) == ("", "")
    assert (none["tier"], teacher["tier"]) == ("1", "")
    assert "one seed tells nothing apart" in none["tier_reason"]


def test_text_that_a_spreadsheet_would_run_is_made_inert(tmp_path: Path) -> None:
    builder = RunBuilder(tmp_path)
    for name in ("=1+1", "+x", "-x", "@x", "\uff1d1", 'quo"te,comma\nline'):
        builder.done(name, 0.5, label=name)
    rows = rows_of(builder)
    assert {row["label"] for row in rows[1:]} == {"'=1+1", "'+x", "'-x", "'@x", "'\uff1d1", 'quo"te,comma\nline'}
    assert {row["watermark"] for row in rows} == {NO_BASELINE}


def test_no_boards_give_a_csv_without_rows() -> None:
    assert csv([]).strip() == ""
