from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from bench.base.registry import datasets, discover, students, teachers
from bench.leaderboard import leaderboard, load, published
from bench.leaderboard.published import COLUMNS, PaperScore
from bench.leaderboard.published import matches as of_metric
from bench.method.registry import methods
from bench.report.text.latex import latex
from bench.report.text.markdown import markdown
from bench.report.values import published as shown
from bench.store.frame import read_plan
from bench.tasks.metric import Metric
from bench.tasks.segmentation.scores import SCORING
from tests.run_builder import RunBuilder

SCORES = published.load()
MIOU = SCORING.primary
matches = partial(of_metric, MIOU)


def test_every_committed_row_has_a_source_a_place_and_the_papers_own_words() -> None:
    assert len(SCORES) > 300
    assert list(SCORES.columns) == list(COLUMNS)
    assert SCORES["value"].notna().all()
    for name in ("source", "table", "metric", "task", "dataset_paper", "method_paper"):
        assert (SCORES[name] != "").all(), name


def test_names_that_claim_a_counterpart_here_are_registered() -> None:
    discover()
    registries = {"dataset": datasets, "teacher": teachers, "student": students, "method": methods}
    for column, registry in registries.items():
        for name in set(SCORES[column]) - {""}:
            assert name in registry, f"{column} {name}"


def test_a_paper_row_is_found_with_its_provenance() -> None:
    (found,) = matches("cityscapes", "val", "pspnet_r101_skd", "pspnet_r18_skd", "kd")
    assert (found.value, found.metric, found.provenance) == (0.712, "mIoU", "BCD arXiv 2401.13174v2, Table III")


def test_scores_are_those_of_the_metric_that_the_paper_names(tmp_path: Path) -> None:
    lines = [
        "sets,val,t,s,kd,RMSE,0.31,,,Paper A,III,,task,,,,,KD",
        "sets,val,t,s,kd,mIoU,31,,,Paper A,III,,task,,,,,KD",
    ]
    file = tmp_path / "scores.csv"
    file.write_text("\n".join([",".join(COLUMNS), *lines]) + "\n")
    metric = Metric("rmse", "RMSE", higher_is_better=False, scale=1, unit="m", digits=3)
    (found,) = of_metric(metric, "sets", "val", "t", "s", "kd", file)
    assert (found.value, found.metric) == (0.31, "RMSE")


def test_a_value_that_one_source_repeats_is_one_score_with_all_its_tables() -> None:
    (found,) = matches("cityscapes", "val", "pspnet_r101_skd", "", "")
    assert (found.value, found.provenance) == (0.7856, "BCD arXiv 2401.13174v2, Tables II, III")


def test_a_baseline_does_not_depend_on_the_teacher() -> None:
    one = matches("cityscapes", "val", "pspnet_r101_skd", "pspnet_r18_skd", "none")
    assert one
    assert one == matches("cityscapes", "val", None, "pspnet_r18_skd", "none")


@pytest.mark.parametrize(
    "place",
    [
        ("cityscapes", "train", "pspnet_r101_skd", "pspnet_r18_skd", "kd"),
        ("digits", "val", "pspnet_r101_skd", "pspnet_r18_skd", "kd"),
        ("cityscapes", "val", "other", "pspnet_r18_skd", "kd"),
        ("cityscapes", "val", "pspnet_r101_skd", "pspnet_r18_ifvd", "kd"),
    ],
)
def test_nothing_is_put_beside_what_differs(place: tuple[str, str, str, str, str]) -> None:
    assert matches(*place) == ()


def test_several_sources_are_all_shown_with_their_gaps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [
        "cityscapes,val,t,s,kd,mIoU,70,,,Paper A,III,,task,,,,,KD",
        "cityscapes,val,t,s,kd,mIoU,72.5,,,Paper_B,README,re-run,task,,,,,KD",
        "cityscapes,val,t,s,kd,AP box,12,,,Paper C,I,,task,,,,,KD",
        "cityscapes,val,t,,,mIoU,80,,,Paper A,III,,task,,,,,teacher (no KD)",
    ]
    file = tmp_path / "scores.csv"
    file.write_text("\n".join([",".join(COLUMNS), *lines]) + "\n")
    monkeypatch.setattr(published, "folders", lambda: (tmp_path,))
    published.load.cache_clear()
    published._index.cache_clear()
    try:
        builder = RunBuilder(tmp_path / "run", dataset="cityscapes", teacher="t", student="s")
        builder.done("none", 0.6)
        builder.done("kd", 0.71)
        boards = leaderboard(load(builder.run))
    finally:
        published.load.cache_clear()
        published._index.cache_clear()
    row = next(row for row in boards[0].rows if row.label == "kd")
    assert row.published == (
        PaperScore(0.7, "mIoU", "Paper A", "III", gap=pytest.approx(0.01)),
        PaperScore(0.725, "mIoU", "Paper_B", "README", "re-run", gap=pytest.approx(-0.015)),
    )
    assert shown(MIOU, row) == "70.00 (+1.00); 72.50 (-1.50)"
    assert boards[0].teacher_row is not None
    assert [p.value for p in boards[0].teacher_row.published] == [0.8]
    text = markdown(read_plan(builder.run), boards)
    assert "published 70.00 in Paper A, Table III" in text
    assert r"published 72.50 in Paper\_B, README" in text
    assert "published in Paper A, Table III" in boards[0].teacher_row.notes[0]
    assert r"Paper\_B" in latex(boards)


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe\x00", b"a,b\n1,2\n", b'a,"b\n'])
def test_missing_or_broken_file_gives_no_scores(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "scores.csv"
    if content is not None:
        file.write_bytes(content)
    assert published.load(file).empty
    assert matches("cityscapes", "val", "t", "s", "kd", file) == ()


def test_no_folder_at_all_gives_no_scores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(published, "folders", lambda: (tmp_path / "nowhere",))
    published.load.cache_clear()
    try:
        assert published.load().empty
    finally:
        published.load.cache_clear()
