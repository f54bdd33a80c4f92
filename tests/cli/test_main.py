from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import bench
from bench.base.errors import EXIT_INTERRUPTED, Interrupted
from bench.base.registry import datasets, discover, students
from bench.matrix.find import presets
from bench.matrix.recipe import recipe_for
from bench.method.registry import methods
from tests.command import Command, command_line
from tests.conftest import SHAPES, MatrixFile

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    """Run the command line in this process; whatever happens, no traceback is shown and nothing trains."""
    from bench.train import run

    def untouched(*_: Any, **__: Any) -> None:
        raise AssertionError("training began")

    monkeypatch.setattr(run, "Engine", untouched)
    monkeypatch.chdir(tmp_path)

    return command_line(monkeypatch, capsys)


BASELINE = """m.yaml:4: methods: no baseline: every gain is measured against the method 'none'. Add under methods:
    - none
  or give --no-baseline, which marks every table"""
discover()
METHODS = ", ".join(methods.names())
KD_OPTIONS = "convention, resize, strength, tau, upsample, weight"
TOP = "dataset, exclude, include, methods, name, pairs, plugins, recipe, seeds, teacher_recipe, teacher_seed"
RECIPE = ", ".join(sorted(recipe_for().model_fields))
DATASETS = ", ".join(sorted({*datasets.names(), "shapes"}))
MODELS = ", ".join(sorted(["net_five", "net_large", "net_small", "net_stride4", *students.names(everywhere=True)]))
SMALL = "iterations: 20, batch_size: 8"

FAULTS: list[tuple[dict[str, str | None], list[str]]] = [
    (
        {"methods": "[none, cdw]"},
        [f"m.yaml:4: methods[1]: unknown method 'cdw'. Did you mean 'cwd'? Known: {METHODS}"],
    ),
    (
        {"methods": "[none, no]"},
        [f"m.yaml:4: methods[1]: unknown method 'no'. Did you mean 'none'? Known: {METHODS}"],
    ),
    ({"methods": "[none, true]"}, ["m.yaml:4: methods[1]: a name or {name: ..., option: value} is needed, got True"]),
    (
        {"methods": "[none, {kd: {tau: 2}}]"},
        ["m.yaml:4: methods[1]: options stand beside the name: write {name: kd, option: value}"],
    ),
    (
        {"methods": "[none, {name: kd, temprature: 3}]"},
        [f"m.yaml:4: methods[1].temprature: unknown key 'temprature'. Known: {KD_OPTIONS}"],
    ),
    (
        {"methods": "[none, {name: kd, wieght: 3}]"},
        [f"m.yaml:4: methods[1].wieght: unknown key 'wieght'. Did you mean 'weight'? Known: {KD_OPTIONS}"],
    ),
    (
        {"methods": "[none, {name: kd, weight: -1}]"},
        ["m.yaml:4: methods[1].weight: input should be greater than or equal to 0, got -1"],
    ),
    (
        {"methods": "[none, {name: kd, tau: [1, 0]}]"},
        ["m.yaml:4: methods[1].tau: input should be greater than 0, got 0"],
    ),
    (
        {"methods": "[none, {name: kd, tau: []}]"},
        ["m.yaml:4: methods[1].tau: an empty list leaves no value to train with"],
    ),
    (
        {"methods": "[none, {name: kd, tau: .inf}]"},
        ["m.yaml:4: methods[1].tau: input should be a finite number, got inf"],
    ),
    ({"methods": "[none, {name: kd, tau: true}]"}, ["m.yaml:4: methods[1].tau: input should be a number, got True"]),
    ({"methods": "[none, kd, kd]"}, ["m.yaml:4: methods[2]: kd stands twice with the same hyperparameters"]),
    ({"methods": "[kd]"}, [BASELINE]),
    ({"methods": None}, ["m.yaml:1: methods: 'methods' is missing"]),
    ({"methods": "none"}, ["m.yaml:4: methods: input should be a valid list, got 'none'"]),
    (
        {"pairs": "[{teacher: net_large, student: net_smal}]"},
        [f"m.yaml:3: pairs[0].student: unknown student 'net_smal'. Did you mean 'net_small'? Known: {MODELS}"],
    ),
    (
        {"pairs": "[{teacher: net_larg, student: net_small}]"},
        [f"m.yaml:3: pairs[0].teacher: unknown teacher 'net_larg'. Did you mean 'net_large'? Known: {MODELS}"],
    ),
    ({"pairs": "[{student: net_small}]"}, ["m.yaml:3: pairs[0].teacher: 'teacher' is missing"]),
    (
        {"pairs": "[{teacher: net_large, student: {name: net_small, widht: 8}}]"},
        ["m.yaml:3: pairs[0].student.widht: unknown key 'widht'. Did you mean 'width'? Known: dropout, width"],
    ),
    (
        {"dataset": "shape"},
        [f"m.yaml:1: dataset: unknown dataset 'shape'. Did you mean 'shapes'? Known: {DATASETS}"],
    ),
    (
        {"dataset": "{name: shapes, eval_split: vall}"},
        ["m.yaml:1: dataset.eval_split: unknown split 'vall'. Did you mean 'val'? Known: train, val"],
    ),
    (
        {"dataset": "{name: shapes, train_split: val, eval_split: null}"},
        ["m.yaml:1: dataset.eval_split: 'val' is trained on; evaluate on another split"],
    ),
    ({"colour": "red"}, [f"m.yaml:7: colour: unknown key 'colour'. Known: {TOP}"]),
    ({"method": "[kd]"}, [f"m.yaml:7: method: unknown key 'method'. Did you mean 'methods'? Known: {TOP}"]),
    (
        {"recipe": f"{{{SMALL}, itertions: 3}}"},
        [f"m.yaml:2: recipe.itertions: unknown key 'itertions'. Did you mean 'iterations'? Known: {RECIPE}"],
    ),
    (
        {"recipe": f"{{{SMALL}, optimizer: {{lr: fast}}}}"},
        [
            "m.yaml:2: recipe.optimizer.lr: input should be a valid number, unable to parse string as a number, "
            "got 'fast'"
        ],
    ),
    (
        {"recipe": f"{{{SMALL}, optimizer: {{lr: inf}}}}"},
        ["m.yaml:2: recipe.optimizer.lr: input should be a finite number, got 'inf'"],
    ),
    (
        {"recipe": "{iterations: 1:30}"},
        [
            "m.yaml:2: recipe.iterations: input should be a valid integer, unable to parse string as an integer, "
            "got '1:30'"
        ],
    ),
    ({"recipe": "{iterations: true}"}, ["m.yaml:2: recipe.iterations: input should be a number, got True"]),
    (
        {"recipe": f"{{{SMALL}, augment: {{flip: true}}}}"},
        ["m.yaml:2: recipe.augment.flip: input should be a number, got True"],
    ),
    (
        {"teacher_recipe": "{iteration: 3}"},
        [f"m.yaml:7: teacher_recipe.iteration: unknown key 'iteration'. Did you mean 'iterations'? Known: {RECIPE}"],
    ),
    ({"seeds": "[0, 0]"}, ["m.yaml:5: seeds[1]: seed 0 stands twice; a repeated seed is no new evidence"]),
    ({"seeds": "[010]"}, ["m.yaml:5: '010' can be read as octal or decimal: write 10, or \"010\" for text"]),
    ({"seeds": "[]"}, ["m.yaml:5: seeds: list should have at least 1 item after validation, not 0, got []"]),
    ({"seeds": "[-1]"}, ["m.yaml:5: seeds[0]: input should be greater than or equal to 0, got -1"]),
    ({"seeds": "[true]"}, ["m.yaml:5: seeds[0]: input should be a valid integer, got True"]),
    (
        {"seeds": "[4294967296]"},
        ["m.yaml:5: seeds[0]: input should be less than or equal to 4294967295, got 4294967296"],
    ),
    (
        {"plugins": "[absent.py]", "dataset": "digit-scenes", "pairs": "[{teacher: tiny_fpn_32, student: tiny_fpn_8}]"},
        ["m.yaml:6: plugins[0]: plugin file not found: absent.py"],
    ),
    (
        {"exclude": "[{metod: kd}]"},
        [
            "m.yaml:7: exclude[0].metod: unknown axis 'metod'. Did you mean 'method'? "
            "Known: method, seed, student, teacher"
        ],
    ),
    (
        {"exclude": "[{method: '*'}]"},
        [
            "m.yaml: no cell is left after include and exclude: include=[], exclude=[{'method': '*'}]. "
            "Loosen one of them."
        ],
    ),
    (
        {"pairs": "[{teacher: net_five, student: net_small}]"},
        ["teacher 'net_five' gives 5 classes, dataset 'shapes' has 3: ground, disc, square"],
    ),
    (
        {"name": "../elsewhere"},
        ["m.yaml:7: name: '../elsewhere' names the result folder: use up to 100 letters, digits, '-', '_' and '.'"],
    ),
    (
        {"name": "teachers"},
        ["m.yaml:7: name: 'teachers' is taken by the harness's own folder of the results: choose another name"],
    ),
    (
        {"methods": "[cdw, {name: kd, tau: 0}]", "seeds": "[0, 0]", "colour": "red"},
        [
            f"m.yaml:7: colour: unknown key 'colour'. Known: {TOP}",
            f"m.yaml:4: methods[0]: unknown method 'cdw'. Did you mean 'cwd'? Known: {METHODS}",
            "m.yaml:4: methods[1].tau: input should be greater than 0, got 0",
            BASELINE,
            "m.yaml:5: seeds[1]: seed 0 stands twice; a repeated seed is no new evidence",
        ],
    ),
]


@pytest.mark.parametrize("verb", ["plan", "run"])
@pytest.mark.parametrize(("lines", "messages"), FAULTS, ids=lambda value: str(value)[:60])
def test_bad_matrices_are_refused_before_anything_trains(
    command: Command, matrix_file: MatrixFile, verb: str, lines: dict[str, str | None], messages: list[str]
) -> None:
    path = matrix_file(**lines)
    ended = command(verb, "--matrix", str(path))
    assert ended.err.replace(f"{path.parent}/", "") == "".join(f"error: {message}\n" for message in messages)
    assert (ended.code, ended.out) == (2, "")
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "m.yaml:1: the file is empty. See the presets for an example: python -m bench list presets"),
        ("- a\n", "m.yaml:1: a mapping is needed (dataset:, recipe:, pairs:, methods:, seeds:)"),
        ("hello\n", "m.yaml:1: a mapping is needed (dataset:, recipe:, pairs:, methods:, seeds:)"),
        ("a: 1\nb: 2\na: 3\n", "m.yaml:3: the key 'a' stands here and on line 1: keep one"),
        ("a: &a [*a]\n", "m.yaml:1: an alias stands inside the value that it repeats"),
        (
            "dataset: caf\udce9\n",
            "m.yaml is not UTF-8 text: byte 12 is 0xe9 (line 1, column 13). Save it as UTF-8.",
        ),
        (
            "recipe:\n\titerations: 3\n",
            "m.yaml:2: not valid YAML: while scanning for the next token, found character '\\t' that cannot start any "
            "token. YAML does not allow tabs for indentation: use spaces.",
        ),
    ],
)
def test_files_that_are_no_matrix(command: Command, tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "m.yaml").write_bytes(content.encode("utf-8", "surrogateescape"))
    assert command("plan", "--matrix", "m.yaml") == (2, "", f"error: {message}\n")


def test_places_that_are_no_matrix(command: Command, tmp_path: Path) -> None:
    known = ", ".join(presets())
    assert command("plan", "--matrix", str(tmp_path)) == (
        2,
        "",
        f"error: {tmp_path} is a folder, a YAML file is needed\n",
    )
    assert command("run", "--matrix", "quikc") == (
        2,
        "",
        f"error: matrix not found: no file quikc and no preset of that name. Did you mean 'quick'? Presets: {known}\n",
    )


@pytest.mark.parametrize("line", range(98, 102))
def test_a_line_number_is_never_drawn_as_an_emoji(command: Command, tmp_path: Path, line: int) -> None:
    (tmp_path / "m.yaml").write_text("\n" * (line - 1) + "a: 010\n")
    assert command("plan", "--matrix", "m.yaml").err.startswith(f"error: m.yaml:{line}: '010'")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--set", "recipe.iteratons=3"],
            "--set recipe.iteratons=3: recipe.iteratons: unknown key 'iteratons'. Did you ",
        ),
        (["--set", "x"], "--set x: write key.path=value, as in --set recipe.iterations=200\n"),
        (["--set", "methods[9].tau=3"], "--set methods[9].tau=3: '9' is not a key there\n"),
        (["--set", "seeds=&a [*a]"], "--set:1: an alias stands inside the value that it repeats\n"),
        (["--set", "seeds=[0,0]"], "--set seeds=[0,0]: seeds[1]: seed 0 stands twice; a repeated seed is no new"),
        (["--data-root", "/no/such/folder"], "--data-root /no/such/folder: no such folder\n"),
    ],
)
def test_bad_options(command: Command, matrix_file: MatrixFile, arguments: list[str], message: str) -> None:
    for verb in ("plan", "run"):
        ended = command(verb, "--matrix", str(matrix_file()), *arguments)
        assert (ended.code, ended.out) == (2, "")
        assert ended.err.startswith(f"error: {message}")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--device", "gpu"], "--device gpu: unknown; write auto, cpu, cuda, cuda:N or mps"),
        (["--device", "cuda:99"], "--device cuda:99: this machine has no such device. Use --device auto."),
        (["--device", "meta"], "--device meta: this machine has no such device. Use --device auto."),
        (["--retrain", "*.cwd.*"], "--retrain *.cwd.*: no cell has such an id"),
        (["--results", "file"], "cannot write to file/m: Not a directory. Choose another --results folder."),
        (["--results", "m.yaml/x"], "cannot write to m.yaml/x/m: Not a directory. Choose another --results folder."),
    ],
)
def test_a_run_that_cannot_start(
    command: Command, matrix_file: MatrixFile, tmp_path: Path, arguments: list[str], message: str
) -> None:
    (tmp_path / "file").write_text("")
    assert command("run", "--matrix", str(matrix_file()), *arguments) == (2, "", f"error: {message}\n")


def test_a_full_disk_stops_a_run_before_it_trains(
    command: Command, matrix_file: MatrixFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.fsync", full)
    ended = command("run", "--matrix", str(matrix_file()))
    assert ended.code == 2
    assert ended.err.startswith("error: no disk space for results/m: ")


def test_the_shell_of_a_command_refuses_too(command: Command, matrix_file: MatrixFile) -> None:
    path = str(matrix_file())
    for arguments in (["run", "--workers", "-1"], ["run", "--checkpoint-seconds", "-1"], ["plan", "--sett", "a=1"]):
        ended = command(*arguments, "--matrix", path)
        assert (ended.code, ended.out) == (2, "")
    assert command("lsit").code == 2
    assert command("list", "method").code == 2


def test_a_plan_is_shown(command: Command, matrix_file: MatrixFile) -> None:
    recipe = f"{{{SMALL}, optimizer: {{lr: 1e-3}}}}"
    ended = command("plan", "--matrix", str(matrix_file(methods="[none, {name: kd, tau: [1, 2]}]", recipe=recipe)))
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("m: 3 cells, 1 groups")
    assert "kd (tau=2)" in ended.out
    assert ended.out.endswith("4 to train, 0 not.\nresults: results/m\n")


def test_a_plan_shows_why_a_cell_is_skipped(command: Command, matrix_file: MatrixFile) -> None:
    ended = command("plan", "--matrix", str(matrix_file(pairs="[{teacher: net_large, student: net_stride4}]")))
    assert ended.code == 0
    assert "skipped (kd compares" in ended.out
    assert "1 to train, 1 not." in ended.out


def test_names_are_shown_as_they_are(command: Command, matrix_file: MatrixFile, tmp_path: Path) -> None:
    plugin = tmp_path / "plugin.py"
    plugin.write_text(
        "from bench.method import Method, methods\n"
        "@methods.register(':100:[red]x[/]')\nclass Odd(Method):\n    'A | b & [bold]c.'\n"
    )
    path = matrix_file(methods="[none, ':100:[red]x[/]']", plugins=f"[{SHAPES}, {plugin}]")
    ended = command("plan", "--matrix", str(path))
    assert ended.code == 0
    assert ":100:[red]x[/]" in ended.out
    assert "A | b & [bold]c." in command("list", "methods").out


def test_no_baseline_is_accepted_when_asked_for(command: Command, matrix_file: MatrixFile) -> None:
    path = str(matrix_file(methods="[kd]"))
    assert command("plan", "--matrix", path).code == 2
    assert command("plan", "--matrix", path, "--no-baseline").code == 0


def test_a_broken_plugin_shows_its_place_and_the_others_are_planned(
    command: Command, matrix_file: MatrixFile, tmp_path: Path
) -> None:
    (tmp_path / "broken.py").write_text("\nimport no_such_package\n")
    ended = command(
        "plan", "--matrix", str(matrix_file(methods="[none, theirs, kd]", plugins=f"[{SHAPES}, broken.py]"))
    )
    assert ended.code == 0
    shown = "".join(ended.out.replace("│", "").split())  # the table folds its cells
    assert "skipped(unknownmethod'theirs'." in shown
    assert ended.out.startswith("m: 3 cells, 1 groups")
    assert "3 to train, 1 not." in ended.out


def test_everything_registered_is_listed(command: Command) -> None:
    everything = command("list")
    assert everything.code == 0
    for text in ("methods", "students", "teachers", "datasets", "presets", "kd", "tiny_fpn_8", "digit-scenes", "quick"):
        assert text in everything.out
    students = command("list", "students")
    assert "tiny_fpn_8" in students.out
    assert "tiny_fpn_32" not in students.out


def test_one_entry_is_shown_in_full(command: Command) -> None:
    ended = command("list", "methods", "--long", "kd")
    assert ended.code == 0
    assert "Hinton" in ended.out
    assert "  tau: float > 0 = 1.0\n" in ended.out
    assert command("list", "--long", "kd").out == ended.out


def test_a_preset_is_shown_in_full(command: Command) -> None:
    for arguments in (["list", "presets", "--long", "quick"], ["list", "--long", "quick"]):
        ended = command(*arguments)
        assert ended.code == 0
        assert presets()["quick"].read_text() in ended.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["methods", "--long", "kdd"], f"unknown method 'kdd'. Did you mean 'kd'? Known: {METHODS}"),
        (
            ["presets", "--long", "quikc"],
            f"unknown preset 'quikc'. Did you mean 'quick'? Known: {', '.join(presets())}",
        ),
    ],
)
def test_an_unknown_entry(command: Command, arguments: list[str], message: str) -> None:
    assert command("list", *arguments) == (2, "", f"error: {message}\n")


def test_list_shows_methods_that_cannot_be_read_and_plugins_that_failed(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bench.base import registry

    (tmp_path / "broken.py").write_text("raise ValueError('on purpose')")
    registry.load_plugin(tmp_path / "broken.py")

    @methods.register("unreadable")
    def unreadable(*, _hidden: int = 1) -> None: ...

    ended = command("list", "methods")
    assert ended.code == 0
    assert "cannot be read" in ended.out
    assert f"plug-in {tmp_path / 'broken.py'} failed to load: ValueError: on purpose" in ended.out


def test_the_version(command: Command) -> None:
    assert command("--version") == (0, f"bench {bench.__version__}\n", "")


def test_a_stop_and_a_failed_write_end_without_a_traceback(
    command: Command, matrix_file: MatrixFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bench.train import run

    def raises(error: BaseException) -> Callable[..., None]:
        def run_matrix(*_: Any) -> None:
            raise error

        return run_matrix

    path = str(matrix_file())
    monkeypatch.setattr(run, "run_matrix", raises(Interrupted(2)))
    ended = command("run", "--matrix", path)
    assert (ended.code, ended.out) == (EXIT_INTERRUPTED, "")
    assert ended.err == "stopped; everything is checkpointed. The same command goes on from here.\n"
    monkeypatch.setattr(
        run, "run_matrix", raises(OSError(errno.EROFS, "Read-only file system", "results/" + "x" * 300))
    )
    ended = command("run", "--matrix", path)
    assert ended.code == 2
    assert ended.err == (
        f"error: cannot write to results/{'x' * 300}: Read-only file system. Choose another --results folder.\n"
    )


def test_ctrl_c_while_planning_ends_as_interrupted(
    command: Command, matrix_file: MatrixFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bench.plan import groups as plan

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(plan, "build_plan", interrupt)
    assert command("plan", "--matrix", str(matrix_file())).code == EXIT_INTERRUPTED


def test_the_module_runs_as_a_program(tmp_path: Path) -> None:
    arguments = [sys.executable, "-m", "bench", "report", str(tmp_path)]
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    message = f"error: {tmp_path} is no result folder: it has no 'cells' folder. Run a matrix first.\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", message)


def test_a_good_matrix_would_have_trained(command: Command, matrix_file: MatrixFile) -> None:
    with pytest.raises(AssertionError, match="training began"):
        command("run", "--matrix", str(matrix_file()), "--plain")
