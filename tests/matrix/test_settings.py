from __future__ import annotations

import os
from pathlib import Path

import pytest

from bench.base.errors import BenchError
from bench.matrix.settings import Settings, data_roots


def test_the_cache_lies_in_the_results_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BENCH_CACHE", raising=False)
    assert Settings(results=Path("r")).locations.cache == Path("r/cache")
    monkeypatch.setenv("BENCH_CACHE", "/elsewhere")
    assert Settings(results=Path("r")).locations.cache == Path("/elsewhere")


def test_given_roots_stand_before_those_of_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("BENCH_DATA", raising=False)
    assert data_roots(None) == ()
    monkeypatch.setenv("BENCH_DATA", os.pathsep.join(["/a", "", "/b"]))
    assert data_roots([tmp_path]) == (tmp_path, Path("/a"), Path("/b"))


def test_every_root_that_does_not_exist_is_told(tmp_path: Path) -> None:
    absent = [tmp_path / "a", tmp_path, tmp_path / "b"]
    with pytest.raises(BenchError) as caught:
        data_roots(absent)
    assert caught.value.problems == tuple(f"--data-root {absent[index]}: no such folder" for index in (0, 2))


def test_workers_are_chosen_by_size_unless_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)), raising=False)
    assert Settings().workers_for((64, 64)) == 0
    assert Settings().workers_for((360, 480)) == 8
    assert Settings(workers=3).workers_for((64, 64)) == 3
    assert Settings(workers=0).workers_for((360, 480)) == 0
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0}, raising=False)
    assert Settings().workers_for((360, 480)) == 0


def test_a_cache_that_leads_elsewhere_is_refused_unless_the_user_names_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("BENCH_CACHE", raising=False)
    (tmp_path / "disk").mkdir()
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "cache").symlink_to(tmp_path / "disk")
    with pytest.raises(BenchError, match=r"r/cache is a link"):
        _ = Settings(results=tmp_path / "r").locations
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "r" / "cache"))
    assert Settings(results=tmp_path / "r").locations.cache == tmp_path / "r" / "cache"
    (tmp_path / "disk" / "weights").symlink_to(tmp_path)
    with pytest.raises(BenchError, match=r"cache/weights is a link"):
        _ = Settings(results=tmp_path / "r").locations
