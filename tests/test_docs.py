"""The documents are true: their commands run, their examples load, what they name exists."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import pytest
import yaml

from bench.cli import main as cli
from bench.matrix.find import presets
from bench.matrix.matrix import load_matrix
from bench.method.registry import methods
from tests.data.sets.test_camvid import make_camvid
from tests.harness import PLUGINS, records, run, write_matrix
from tests.test_imports import ORDER

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def blocks(text: str, language: str) -> list[str]:
    return [re.sub(r"^ {3}", "", body, flags=re.M) for body in re.findall(rf"```{language}\n(.*?)```", text, re.S)]


COMMANDS = [
    line.partition("#")[0].strip()
    for block in blocks(README, "sh")
    for line in block.splitlines()
    if line.startswith("python -m bench")
]


def test_the_readme_opens_with_two_commands_and_ci_runs_the_second():
    first, second = (block.strip() for block in blocks(README, "sh")[:2])
    assert first.endswith("python -m bench run --matrix quick.yaml")
    assert second.endswith("tox")
    ci = (ROOT / ".ci" / "run").read_text().replace("--quiet ", "").splitlines()
    assert second.split(" && ") == [line for line in ci if ".venv" in line]


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_the_readmes_commands_run(tmp_path, monkeypatch, capsys, command):
    make_camvid(tmp_path / "DATA" / "camvid")
    monkeypatch.chdir(tmp_path)
    short = ["--set", "recipe.iterations=2", "--set", "teacher_recipe.iterations=2", "--set", "recipe.augment.crop=32"]
    short += ["--set", "recipe.batch_size=2", "--set", "seeds=[0]"]
    if any(f" {name} " in command for name in ("report", "status", "compare", "check")):
        monkeypatch.setattr(
            sys, "argv", ["bench", "run", "--matrix", "camvid-small.yaml", "--data-root", "DATA", *short]
        )
        with pytest.raises(SystemExit) as end:
            cli.main()
        assert end.value.code == 0
    arguments = shlex.split(command.removeprefix("python -m "))
    monkeypatch.setattr(sys, "argv", [*arguments, *(short if arguments[1] == "run" else [])])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 0, capsys.readouterr().err


def test_there_are_commands_to_try():
    shown = {"plan", "run", "report", "list", "models", "data", "init", "status", "compare", "check"}
    assert {command.split()[3] for command in COMMANDS} == shown


def test_the_readmes_matrix_loads(tmp_path):
    (example,) = blocks(README, "yaml")
    path = tmp_path / "example.yaml"
    path.write_text(example)
    assert [choice.label for choice in load_matrix(str(path)).choices] == ["none", "kd", "kd (tau=4)", "cwd"]


def test_the_methods_document_has_every_method_in_both_tables_and_its_matrix_loads(tmp_path):
    text = (ROOT / "docs" / "methods.md").read_text()
    known = {name for name in methods.names() if methods.get(name).builder.__module__.startswith("bench.methods.")}
    described, measured = text.split("## How we know")[0], text.split("## What a method costs")[1]
    assert set(re.findall(r"^\| `([a-z_]+)` \|", described, re.M)) == known
    assert set(re.findall(r"^\| `([a-z_]+)` \|", measured, re.M)) == known - {"none"}
    (example,) = blocks(text, "yaml")
    path = write_matrix(tmp_path, methods=yaml.safe_load(example)["methods"])
    labels = [choice.label for choice in load_matrix(str(path)).choices]
    assert labels[2] == "ifvd+bcd (ifvd.weight=50)"
    assert len(labels) == 5


@pytest.mark.parametrize("name", presets())
def test_presets_load_and_are_named_in_the_readme(name):
    load_matrix(name)
    assert f"`{name}`" in README


def test_the_contributing_guides_method_conforms_and_trains_as_a_plug_in(tmp_path, check_method):
    (code,) = blocks((ROOT / "CONTRIBUTING.md").read_text(), "python")
    (tmp_path / "mine.py").write_text(code)
    check_method(tmp_path / "mine.py")
    plugins = [str(PLUGINS / "shapes.py"), "mine.py"]
    plan = run(write_matrix(tmp_path, methods=["none", "mse"], plugins=plugins), tmp_path / "results")
    state, record = records(plan.run)["mse"]
    assert state == "done"
    assert record["terms"] == ["ce", "mse"]


def test_linked_documents_exist():
    for document in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_the_architecture_has_a_paragraph_for_each_folder_from_the_ground_up():
    text = (ROOT / "docs" / "architecture.md").read_text()
    assert re.findall(r"^\*\*`(\w+)`\*\*", text, re.MULTILINE) == list(ORDER)
    for name in re.findall(r"`((?:bench|tests)/[\w/.]+)`", text):
        assert (ROOT / name).exists(), name
