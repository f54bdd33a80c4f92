from __future__ import annotations

from pathlib import Path

import pytest

from bench.base.errors import BenchError
from bench.matrix.find import find_matrix, presets


def test_a_preset_is_found_beside_a_folder_of_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "quick").mkdir()
    assert find_matrix("quick") == presets()["quick"]
    assert find_matrix("quick.yaml") == presets()["quick"]
    (tmp_path / "quick.yaml").write_text("a: 1")
    assert find_matrix("quick.yaml") == Path("quick.yaml")


@pytest.mark.parametrize("name", ["quikc", "quick.yml"])
def test_an_unknown_preset(name: str) -> None:
    with pytest.raises(BenchError) as caught:
        find_matrix(name)
    known = ", ".join(presets())
    assert str(caught.value) == (
        f"matrix not found: no file {name} and no preset of that name. Did you mean 'quick'? Presets: {known}"
    )


def test_the_name_of_a_file_may_be_too_long_for_the_system() -> None:
    with pytest.raises(BenchError, match="matrix not found"):
        find_matrix("x" * 5000)
