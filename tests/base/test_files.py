from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bench.base.errors import BenchError
from bench.base.files import require_space

MIB = 2**20


@pytest.fixture(autouse=True)
def _free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(30 * MIB, 10 * MIB, 20 * MIB))


def test_what_fits_is_let_through_wherever_it_is_to_lie(tmp_path: Path) -> None:
    require_space(tmp_path, 20 * MIB)
    require_space(tmp_path / "not" / "there", 20 * MIB)


@pytest.mark.parametrize(("option", "another"), [("", "another folder"), ("--results", "another --results folder")])
def test_what_does_not_fit_is_refused(tmp_path: Path, option: str, another: str) -> None:
    folder = tmp_path / "not" / "there"
    with pytest.raises(BenchError) as refused:
        require_space(folder, 21 * MIB, option)
    assert str(refused.value) == (
        f"not enough disk space in {folder}: 20 MiB free, about 21 MiB needed. Free some, or choose {another}."
    )
