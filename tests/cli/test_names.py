"""Names of files, folders and classes: refused alike everywhere where they are no text, shown as they are elsewhere."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.models.base import build_model
from bench.models.weights.reading import save_weights
from bench.store.folders import CellFolder
from tests.command import Command, command_line

NO_TEXT = os.fsdecode(b"caf\xe9")
REFUSED = "the name is not UTF-8 text (\\x marks its other bytes), no result can hold it. Rename it.\n"
HOSTILE = "\x1b[31m[red]a\u202eb[/]"
SHOWN = "[31m[red]a b[/]"


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    monkeypatch.chdir(tmp_path)
    return command_line(monkeypatch, capsys)


def picture(path: Path, seed: int = 0, classes: int | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draw = np.random.RandomState(seed).randint
    Image.fromarray(draw(0, classes or 256, (8, 8) if classes else (8, 8, 3)).astype(np.uint8)).save(path)


def write(names: list[str], classes: str = "[a, b]") -> None:
    """Write samples and a matrix of them into the current folder."""
    for seed, name in enumerate(names):
        picture(Path("images", f"{name}.png"), seed)
        picture(Path("masks", f"{name}.png"), seed, 2)
    Path("m.yaml").write_text(
        f"dataset: {{name: folder, images: images, masks: masks, classes: {classes}}}\n"
        "recipe: {iterations: 1, batch_size: 2}\npairs: [{teacher: tiny_fpn_12, student: tiny_fpn_8}]\n"
        "methods: [none]\nseeds: [0]\n"
    )


def cell(classes: list[str]) -> str:
    """Write a finished cell into the current folder."""
    folder = Path("cell")
    folder.mkdir()
    save_weights(build_model("tiny_fpn_8", len(classes), {}), folder / "student.safetensors")
    dataset = {"name": "made", "classes": classes, "mean": [0.3] * 3, "std": [0.2] * 3}
    CellFolder(folder).finish(
        {
            "cell": {
                "id": "cell",
                "student": {"name": "tiny_fpn_8", "options": {}},
                "recipe": {"align_corners": False, "augment": {"crop": [8, 8]}},
            },
            "protocol": {"fields": {"dataset": dataset}},
            "metrics": {"miou": None},
            "efficiency": {"input_size": [8, 8]},
        }
    )
    return str(folder)


COMMANDS = [
    ["data", "check", "-m", "m.yaml"],
    ["data", "show", "-m", "m.yaml"],
    ["init", "new.yaml", "--images", "images", "--masks", "masks"],
    ["run", "-m", "m.yaml"],
]


@pytest.mark.parametrize("name", [NO_TEXT, f"{NO_TEXT}/x"], ids=["file", "folder"])
@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda arguments: " ".join(arguments[:2]))
def test_samples_whose_names_are_no_text_are_refused_everywhere(
    command: Command, arguments: list[str], name: str
) -> None:
    write(["0", "1", "2", name])
    ended = command(*arguments)
    shown = f"images/{name}.png".replace(NO_TEXT, r"caf\xe9")
    assert ended.code == 2
    assert ended.err.startswith(f"error: {shown}: {REFUSED}")


def test_a_plan_tells_such_samples_as_it_tells_missing_ones(command: Command) -> None:
    write(["0", "1", "2", NO_TEXT])
    ended = command("plan", "-m", "m.yaml")
    assert (ended.code, ended.err) == (0, "")
    assert f"missing: images/caf\\xe9.png: {REFUSED}" in ended.out


def test_other_files_may_be_called_as_they_like(command: Command) -> None:
    write(["0", "1", "2"])
    Path("images", f"{NO_TEXT}.txt").touch()
    assert command("data", "check", "-m", "m.yaml").code == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["plan", "-m", f"{NO_TEXT}.yaml"],
        ["run", "-m", "m.yaml", "--results", NO_TEXT],
        ["report", f"results/{NO_TEXT}"],
        ["status", NO_TEXT],
        ["data", "--plugin", f"{NO_TEXT}.py"],
        ["predict", "cell", f"{NO_TEXT}.png"],
        ["init", "m.yaml", "--images", NO_TEXT],
    ],
)
def test_an_argument_that_is_no_text_is_refused(command: Command, arguments: list[str]) -> None:
    (bad,) = (argument for argument in arguments if NO_TEXT in argument)
    shown = bad.replace(NO_TEXT, r"caf\xe9")
    assert command(*arguments) == (2, "", f"error: argument '{shown}': {REFUSED}")
    assert list(Path().iterdir()) == []


def test_a_current_folder_and_a_data_root_that_are_no_text_are_refused(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("BENCH_DATA", f"/data/{NO_TEXT}")
    assert command("list", "presets") == (2, "", f"error: BENCH_DATA=/data/caf\\xe9: {REFUSED}")
    monkeypatch.delenv("BENCH_DATA")
    (tmp_path / NO_TEXT).mkdir()
    monkeypatch.chdir(tmp_path / NO_TEXT)
    assert command("list", "presets") == (2, "", f"error: current folder {tmp_path}/caf\\xe9: {REFUSED}")


@pytest.mark.parametrize("verb", ["report", "status"])
def test_a_cells_folder_that_is_no_text_is_refused(command: Command, verb: str) -> None:
    Path("run", "cells", NO_TEXT).mkdir(parents=True)
    assert command(verb, "run") == (2, "", f"error: run/cells/caf\\xe9: {REFUSED}")


def test_one_image_whose_name_is_no_text_stops_no_other(command: Command) -> None:
    picture(Path("in", "a.png"))
    picture(Path("in", f"{NO_TEXT}.png"))
    ended = command("predict", cell(["a", "b"]), "in", "--device", "cpu")
    assert ended.code == 1
    assert ended.err == f"error: in/caf\\xe9.png: {REFUSED}"
    assert sorted(path.name for path in Path("predictions").iterdir()) == ["a.overlay.png", "a.png"]


@pytest.mark.parametrize("half", [r"caf\udce9", r"a\ud83db"])
def test_half_a_character_in_a_matrix_is_refused(command: Command, half: str) -> None:
    write(["0"], f'[a, "{half}"]')
    ended = command("plan", "-m", "m.yaml")
    assert ended.code == 2
    assert ended.err.endswith("holds half a character, which is no text: write the whole one\n")
    assert ended.err.startswith("error: m.yaml:1: '")


def test_two_halves_in_a_matrix_are_the_character(command: Command) -> None:
    write(["0", "1", "2"], r'[a, "\ud83d\ude00"]')
    assert "\N{GRINNING FACE}" in command("data", "check", "-m", "m.yaml").out


def test_names_of_classes_and_files_do_nothing_to_the_terminal(command: Command) -> None:
    write(["0", "1", "2", f"{HOSTILE.replace('/', '')}"], r'["\e[31m[red]a\u202Eb[/]", "c\nd"]')
    picture(Path("one", f"{HOSTILE.replace('/', '')}.png"))
    for arguments in (
        ["data", "check", "-m", "m.yaml"],
        ["data", "show", "-m", "m.yaml", "--output", f"{HOSTILE.replace('/', '')}.png"],
        ["predict", cell([HOSTILE, HOSTILE]), "one", "--device", "cpu"],
        ["plan", "-m", "m.yaml", "--set", f"dataset.classes=['{HOSTILE}']", "--set", f"recipe.{HOSTILE}=1"],
    ):
        ended = command(*arguments)
        shown = ended.out + ended.err
        assert "[red]a b" in shown, arguments
        assert shown.replace("\n", "").isprintable(), arguments


def test_a_terminal_of_few_letters_shows_the_others_escaped(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    write(["0", "1", "2"], "[a, \u9053]")
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="latin-1"))
    assert command("data", "check", "-m", "m.yaml").code == 0
    sys.stdout.flush()
    assert b"\\u9053" in written.getvalue()
