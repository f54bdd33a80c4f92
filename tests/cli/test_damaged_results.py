"""Whatever happens to the files of a run, every command that reads it tells so in sentences or goes on without them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.command import Command, command_line
from tests.mutations import damaged, spoiled

FOLDER = Path(__file__).parents[1] / "fixtures" / "before_rooms"
RUN = Path("results/old")
FILES = sorted(path.relative_to(FOLDER) for path in (FOLDER / RUN).rglob("*") if path.is_file())
JSON = [path for path in FILES if path.suffix == ".json"]
SEEDED = settings(
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],  # a failure names the damage; to look for a smaller one would take minutes
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    return command_line(monkeypatch, capsys)


def require_told(bench: Command, root: Path, damaged_file: Path, command: str) -> None:
    """Run one command on the folder."""
    cell = root / (damaged_file if "cells" in damaged_file.parts else JSON[0]).parent
    arguments = {
        "status": [str(root / RUN)],
        "check": [str(root / RUN), "--baseline", str(root / "references.json")],
        "compare": [str(root / RUN), str(FOLDER / RUN)],
        "predict": [str(cell), str(root / "image.png"), "--output", str(root / "masks")],
        "export": [str(cell), "--format", "torchscript", "--output", str(root / "student.pt"), "--force"],
        "report": [str(root / RUN)],
    }[command]
    ended = bench(command, *arguments)
    assert ended.code in (0, 1, 2, 3, 4), (command, ended)
    assert ended.code != 2 or ended.err.startswith("error: "), (command, ended)


def damage(draw: st.DataObject, root: Path) -> Path:
    """Damage one file of a copy of the run in some way; return which."""
    kind = draw.draw(st.sampled_from(("bytes", "bytes", "values", "values", "gone", "folder", "swapped", "link")))
    file = draw.draw(st.sampled_from(JSON if kind == "values" else FILES))
    path = root / file
    content = path.read_bytes()
    if kind == "bytes":
        path.write_bytes(draw.draw(damaged(content)))
    elif kind == "values":
        path.write_text(json.dumps(draw.draw(spoiled(json.loads(content)))))
    elif kind == "swapped":
        path.write_bytes((root / draw.draw(st.sampled_from(FILES))).read_bytes())
    else:
        path.unlink()
        if kind == "folder":
            path.mkdir()
        elif kind == "link":
            path.symlink_to(path)
    return file


def require_all_told(bench: Command, tmp_path: Path, data: st.DataObject, *commands: str) -> None:
    """Damage a file of a copy of the run and run commands on it."""
    root = tmp_path / "copy"
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(FOLDER, root)
    file = damage(data, root)
    for command in commands:
        require_told(bench, root, file, command)


@settings(SEEDED, max_examples=50)
@given(data=st.data())
def test_damaged_files(bench: Command, tmp_path: Path, data: st.DataObject) -> None:
    require_all_told(bench, tmp_path, data, "status", "check", "compare")


@settings(SEEDED, max_examples=4)
@given(data=st.data())
def test_damaged_files_in_slow_commands(bench: Command, tmp_path: Path, data: st.DataObject) -> None:
    require_all_told(bench, tmp_path, data, "predict", "export", "report")
