"""Names in scripts that matplotlib's own font has not got: one font that has them, or one note."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from tests.cli.test_names import cell, picture, write
from tests.command import Command, command_line
from tests.fontfile import machine_with, write_font
from tests.run_builder import RunBuilder, metrics

ROAD, SKY = "道路", "하늘"
NOTE = (
    "note: no installed font has 路, 道, 늘, 하 (CJK, HANGUL): pictures show boxes in their place. Install such a "
    "font, for example Noto Sans CJK, and draw them again.\n"
)


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    monkeypatch.chdir(tmp_path)
    return command_line(monkeypatch, capsys)


def measured(score: float | None) -> dict[str, object]:
    ious = {ROAD: score, SKY: score}
    return {**metrics(score), "iou": ious, "acc": ious}


def arguments(verb: str) -> list[str]:
    """Write what a command needs into the current folder; return the command, which draws both names."""
    if verb == "report":
        builder = RunBuilder(Path("run"), measure=(measured, 0.7))
        for seed in (0, 1):
            builder.done("none", 0.5 + 0.01 * seed, seed)
            builder.done("kd", 0.6, seed)
        builder.plan()
        return ["report", "run"]
    if verb == "data":
        write(["0", "1", "2"], f"[{ROAD}, {SKY}]")
        return ["data", "show", "-m", "m.yaml"]
    picture(Path("images", f"{ROAD}.png"))
    return ["predict", cell([ROAD + SKY, ROAD + SKY]), "images", "--device", "cpu"]


@pytest.mark.parametrize("verb", ["report", "data", "predict"])
def test_what_no_font_has_is_told_once(command: Command, monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    given = arguments(verb)
    with machine_with(monkeypatch), warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        ended = command(*given)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.count("note: no installed font") == 1
    assert NOTE in ended.out


@pytest.mark.parametrize("verb", ["report", "data", "predict"])
def test_a_font_that_has_the_letters_is_taken_without_a_word(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, verb: str
) -> None:
    given = arguments(verb)
    font = write_font(tmp_path / "squares.ttf", ROAD + SKY)
    with machine_with(monkeypatch, font), warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        ended = command(*given)
    assert (ended.code, ended.err) == (0, "")
    assert "font" not in ended.out.replace(str(font), "")
