"""What a command imports before its first word: counted in modules, as seconds differ from machine to machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from bench.base import registry

ROOT = Path(__file__).resolve().parents[1]
HEAVY = frozenset(
    {
        "torch", "torchvision", "timm", "segmentation_models_pytorch", "lightning_fabric", "torchmetrics", "sklearn",
        "skimage", "scipy", "pandas", "matplotlib", "transformers", "datasets", "safetensors",
    }
)  # fmt: skip
CHILD = """
import contextlib, io, json, sys
from bench.cli.main import main

def ended(arguments):
    out, err = io.StringIO(), io.StringIO()
    sys.argv = ["bench", *arguments]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as exit:
            code = exit.code or 0
    return [code, out.getvalue(), err.getvalue(), sorted(sys.modules)]

print(json.dumps([ended(arguments) for arguments in json.load(sys.stdin)]))
"""
GOOD = {
    "dataset": "digit-scenes",
    "recipe": "{iterations: 20, augment: {crop: 64}}",
    "pairs": "[{teacher: tiny_fpn_32, student: tiny_fpn_8}]",
    "methods": "[none, kd]",
    "seeds": "[0]",
}


TOLD: list[tuple[list[str], str]] = [
    (["--help"], "Fair comparison"),
    (["report", "--help"], "Build tables, plots and the page"),
    (["check", "--help"], "--fail-on"),
    (["list", "presets"], "quick"),
    (["list", "methods"], "kd"),
    (["list", "students"], "espnet"),
    (["list", "teachers"], "tiny_fpn_32"),
    (["list", "datasets"], "voc2012"),
    (["list"], "digit-scenes"),
    (["list", "methods", "--long", "cwd"], "tau: float > 0 = 4.0"),
    (["list", "methods", "--long", "kd+cwd"], "kd.tau: float > 0 = 1.0"),
    (["list", "students", "--long", "espnet"], "skip: "),
    (["list", "datasets", "--long", "folder"], "images: str"),
]
FAULTS: list[tuple[dict[str, str], str]] = [
    ({"methods": "[none, cdw]"}, "m.yaml:4: methods[1]: unknown method 'cdw'. Did you mean 'cwd'?"),
    ({"methods": "[none, kd+cdw]"}, "m.yaml:4: methods[1]: 'kd+cdw': unknown method 'cdw'."),
    ({"methods": "[none, {name: kd, taus: 3}]"}, "m.yaml:4: methods[1].taus: unknown key 'taus'."),
    ({"methods": "[none, {name: kd, tau: hot}]"}, "m.yaml:4: methods[1].tau: input should be a valid number"),
    ({"methods": "[none, {name: cwd, tau: 0}]"}, "m.yaml:4: methods[1].tau: input should be greater than 0, got 0"),
    ({"methods": "[none, {name: skd, pair_pool: x}]"}, "m.yaml:4: methods[1].pair_pool: input should be 'scale'"),
    ({"methods": "[kd]"}, "m.yaml:4: methods: no baseline"),
    ({"pairs": "[{teacher: tiny_fpn_32, student: x}]"}, "m.yaml:3: pairs[0].student: unknown student 'x'."),
    ({"pairs": "[{teacher: x, student: tiny_fpn_8}]"}, "m.yaml:3: pairs[0].teacher: unknown teacher 'x'."),
    (
        {"pairs": "[{teacher: tiny_fpn_32, student: {name: espnet, p: 0}}]"},
        "m.yaml:3: pairs[0].student.p: input should be greater than or equal to 1, got 0",
    ),
    ({"dataset": "voc"}, "m.yaml:1: dataset: unknown dataset 'voc'. Did you mean 'voc2012'?"),
    ({"dataset": "{name: camvid, eval_split: vall}"}, "m.yaml:1: dataset.eval_split: unknown split 'vall'."),
    ({"dataset": "{name: digit-scenes, size: 8}"}, "m.yaml:1: dataset.size: input should be greater than or equal"),
    ({"dataset": "{name: folder, masks: x}"}, "m.yaml:1: dataset.images: 'images' is missing"),
    ({"recipe": "{iterations: 0}"}, "m.yaml:2: recipe.iterations: input should be greater than 0, got 0"),
    ({"recipe": "{itertions: 9}"}, "m.yaml:2: recipe.itertions: unknown key 'itertions'."),
    ({"seeds": "[010]"}, "m.yaml:5: '010' can be read as octal or decimal"),
]


class Ended(NamedTuple):
    code: int
    out: str
    err: str
    modules: frozenset[str]

    @property
    def heavy(self) -> frozenset[str]:
        return frozenset(module.partition(".")[0] for module in self.modules) & HEAVY


def commands(folder: Path, *arguments: list[str]) -> list[Ended]:
    """Run command lines one after the other in one process, so that each also has what those before it imported."""
    ended = subprocess.run(
        [sys.executable, "-c", CHILD],
        input=json.dumps(arguments),
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return [Ended(code, out, err, frozenset(modules)) for code, out, err, modules in json.loads(ended.stdout)]


def matrix(folder: Path, name: str = "m", **lines: str) -> str:
    path = folder / name / "m.yaml"
    path.parent.mkdir()
    path.write_text("".join(f"{key}: {text}\n" for key, text in {**GOOD, **lines}.items()))
    return str(path)


def test_what_is_told_without_a_library(tmp_path: Path) -> None:
    found = commands(tmp_path, *(arguments for arguments, _ in TOLD))
    for (arguments, told), ended in zip(TOLD, found, strict=True):
        assert (arguments, ended.code, ended.err, ended.heavy) == (arguments, 0, "", set())
        assert told in ended.out


@pytest.mark.parametrize("verb", ["plan", "run"])
def test_a_mistake_is_told_without_a_library(tmp_path: Path, verb: str) -> None:
    mistakes = [([verb, "--matirx", "quick"], "No such option"), ([verb, "-m", "quikc"], "Did you mean 'quick'?")]
    mistakes += [
        ([verb, "--matrix", matrix(tmp_path, str(number), **lines)], told)
        for number, (lines, told) in enumerate(FAULTS)
    ]
    found = commands(tmp_path, *(arguments for arguments, _ in mistakes))
    for (arguments, told), ended in zip(mistakes, found, strict=True):
        assert (arguments, ended.code, ended.heavy) == (arguments, 2, set())
        assert told in ended.err


def test_a_plan_imports_the_files_of_its_own_names(tmp_path: Path) -> None:
    (ended,) = commands(tmp_path, ["plan", "--matrix", matrix(tmp_path)])
    assert (ended.code, ended.err) == (0, "")
    assert ended.heavy <= {"torch", "safetensors"}
    assert "torch" in ended.heavy, "or this file would not notice it"
    assert "torch._dynamo" not in ended.modules, "the compiler, which takes as long to import as torch"
    built_in = {
        kind: {module.removeprefix(f"{package}.") for module in ended.modules if module.startswith(f"{package}.")}
        for kind, package in registry._BUILT_IN.items()
    }
    assert built_in == {
        "methods": {"none", "kd"},
        "students": {"tiny_fpn"},
        "teachers": {"tiny_fpn"},
        "datasets": {"digit_scenes", "scenes", "classes"},
    }
