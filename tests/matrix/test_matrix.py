from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.base.errors import BenchError
from bench.matrix.find import presets
from bench.matrix.matrix import load_matrix
from tests.conftest import SHAPES, MatrixFile


def problems(path: Path, *overrides: str, no_baseline: bool = False) -> list[str]:
    with pytest.raises(BenchError) as caught:
        load_matrix(str(path), overrides, no_baseline)
    return [problem.replace(f"{path.parent}/", "") for problem in caught.value.problems]


def labels(path: Path, *overrides: str) -> list[str]:
    return [choice.label for choice in load_matrix(str(path), overrides).choices]


def test_a_small_matrix(matrix_file: MatrixFile) -> None:
    loaded = load_matrix(str(matrix_file("small.yaml", methods="[none, {name: kd, tau: 4}]")))
    assert loaded.matrix.name == "small"
    assert loaded.matrix.recipe.augment.crop == (32, 32)
    assert [choice.label for choice in loaded.choices] == ["none", "kd (tau=4)"]
    others = {"weight": 1.0, "convention": "cirkd", "upsample": 1, "resize": "none"}
    assert loaded.choices[1].params == {"tau": 4.0, **others}
    assert (loaded.broken, loaded.unavailable) == ([], {})


@pytest.mark.parametrize("name", sorted(presets()))
def test_presets_are_valid(name: str) -> None:
    assert load_matrix(name).path == presets()[name]


def test_a_sweep_is_one_choice_a_combination(matrix_file: MatrixFile) -> None:
    path = matrix_file(methods="[none, {name: kd, tau: [1, 2], weight: [1, 0.5]}]")
    assert labels(path) == ["none", "kd", "kd (weight=0.5)", "kd (tau=2)", "kd (tau=2, weight=0.5)"]


def test_labels_tell_close_values_apart(matrix_file: MatrixFile) -> None:
    path = matrix_file(methods="[none, {name: kd, tau: [1.00000001, 1.00000002]}]")
    assert labels(path) == ["none", "kd (tau=1.00000001)", "kd (tau=1.00000002)"]


@pytest.mark.parametrize(
    ("override", "read"),
    [
        ("recipe.iterations=7", lambda matrix: matrix.recipe.iterations == 7),
        ("recipe.optimizer.lr=1e-2", lambda matrix: matrix.recipe.optimizer.lr == 0.01),
        ("seeds=[3, 4]", lambda matrix: matrix.seeds == [3, 4]),
        ("seeds[0]=5", lambda matrix: matrix.seeds == [5]),
        ("name=other", lambda matrix: matrix.name == "other"),
        ("pairs[0].student.width=8", lambda matrix: matrix.pairs[0].student.options == {"width": 8}),
        ("dataset.size=40", lambda matrix: matrix.dataset.options == {"size": 40}),
        ("methods[1].tau=2", lambda matrix: matrix.methods[1].options == {"tau": 2}),
        ("methods.1.tau=2", lambda matrix: matrix.methods[1].options == {"tau": 2}),
        ("teacher_recipe.iterations=3", lambda matrix: matrix.recipe_of_teachers().iterations == 3),
    ],
)
def test_set_wins_over_the_file(matrix_file: MatrixFile, override: str, read: Any) -> None:
    path = matrix_file()
    assert not read(load_matrix(str(path)).matrix)
    assert read(load_matrix(str(path), [override]).matrix)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("x", "--set x: write key.path=value, as in --set recipe.iterations=200"),
        ("=3", "--set =3: write key.path=value, as in --set recipe.iterations=200"),
        (".=3", "--set .=3: write key.path=value, as in --set recipe.iterations=200"),
        ("[]=3", "--set []=3: write key.path=value, as in --set recipe.iterations=200"),
        ("methods[5].tau=1", "--set methods[5].tau=1: '5' is not a key there"),
        ("methods[5]=kd", "--set methods[5]=kd: '5' cannot be set there"),
        ("seeds.x=1", "--set seeds.x=1: 'x' cannot be set there"),
        ("recipe.iterations.x=1", "--set recipe.iterations.x=1: 'x' cannot be set there"),
        (
            "recipe.batch_size=",
            "--set recipe.batch_size=: recipe.batch_size: input should be a valid integer, got None",
        ),
        (
            "recipe.augment.flop=1",
            "--set recipe.augment.flop=1: recipe.augment.flop: unknown key 'flop'. Did you mean 'flip'? "
            "Known: crop, distort, flip, jitter, scale, scale_step, shift, short_side",
        ),
        (
            "seeds=[1",
            "--set: '[1' is not valid YAML: while parsing a flow sequence, expected ',' or ']', but got '<stream end>'",
        ),
        (
            "seeds=[1,1]",
            "--set seeds=[1,1]: seeds[1]: seed 1 stands twice; a repeated seed is no new evidence",
        ),
        ("0=1", "--set 0=1: [0]: keys should be strings, got 0"),
        ("methods[1]=cdw", "--set methods[1]=cdw: methods[1]: unknown method 'cdw'. Did you mean 'cwd'?"),
    ],
)
def test_a_bad_set_is_named_as_the_place(matrix_file: MatrixFile, override: str, message: str) -> None:
    (found,) = problems(matrix_file(), override)
    assert found.startswith(message)


def test_mistakes_of_the_file_and_of_all_overrides_are_told_in_one_go(matrix_file: MatrixFile) -> None:
    path = matrix_file(
        dataset="shape",
        recipe="{iterations: 0, lr: 1}",
        pairs="[{teacher: net_larg, student: {name: net_small, widht: 2}}]",
        methods="[cdw, {name: kd, tau: 0}]",
        seeds="[0, 0]",
        exclude="[{metod: kd}]",
        name="teachers",
        colour="red",
        plugins=f"[{SHAPES}, absent.py]",
    )
    found = problems(path, "x", "seeds.y=1")
    places = [problem.split(": ")[1] if problem.startswith("m.yaml") else problem.split(":")[0] for problem in found]
    assert sorted(places) == sorted(
        [
            "--set x",
            "--set seeds.y=1",
            "plugins[1]",
            "dataset",
            "recipe.iterations",
            "recipe.lr",
            "pairs[0].teacher",
            "pairs[0].student.widht",
            "methods",
            "methods[0]",
            "methods[1].tau",
            "seeds[1]",
            "exclude[0].metod",
            "name",
            "colour",
        ]
    )


def test_no_baseline_needs_a_word(matrix_file: MatrixFile) -> None:
    path = matrix_file(methods="[kd]")
    assert problems(path) == [
        "m.yaml:4: methods: no baseline: every gain is measured against the method 'none'. Add under methods:\n"
        "    - none\n  or give --no-baseline, which marks every table"
    ]
    assert [choice.label for choice in load_matrix(str(path), no_baseline=True).choices] == ["kd"]


@pytest.mark.parametrize("stem", ["teachers", "cache"])
def test_a_file_named_like_a_folder_of_the_harness_needs_another_name(matrix_file: MatrixFile, stem: str) -> None:
    path = matrix_file(f"{stem}.yaml")
    assert problems(path) == [
        f"{stem}.yaml:1: name: '{stem}' is taken by the harness's own folder of the results: choose another name"
    ]
    assert load_matrix(str(path), ["name=mine"]).matrix.name == "mine"


@pytest.mark.parametrize(
    ("letters", "told"),
    [
        ("漢" * 100, "it takes 300 bytes in UTF-8"),
        ("😀" * 64, "it takes 256 bytes"),
    ],
)
def test_a_name_that_no_folder_can_have_is_refused(matrix_file: MatrixFile, letters: str, told: str) -> None:
    (found,) = problems(matrix_file(), f"name={letters}")
    assert found.startswith(f"--set name={letters}: name: {letters!r} names the result folder: ")
    assert told in found


def test_a_name_of_a_file_that_is_no_text_is_refused(matrix_file: MatrixFile) -> None:
    path = matrix_file("\udce9t.yaml")
    (found,) = problems(path)
    assert "names the result folder: it holds what is no text in UTF-8" in found
    assert load_matrix(str(path), ["name=mine"]).matrix.name == "mine"


@pytest.mark.parametrize("letters", ["漢" * 85, "é" * 100, "a" * 100])
def test_a_name_as_long_as_a_folder_may_have_is_taken(matrix_file: MatrixFile, tmp_path: Path, letters: str) -> None:
    name = load_matrix(str(matrix_file(name=letters))).matrix.name
    (tmp_path / name).mkdir()
    assert name == letters


def test_a_broken_plugin_takes_out_only_the_methods_it_may_have_held(matrix_file: MatrixFile, tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("raise ValueError('on purpose')\n")
    path = matrix_file(methods="[none, theirs, kd]", plugins=f"[{SHAPES}, {broken}]")
    loaded = load_matrix(str(path))
    assert [choice.label for choice in loaded.choices] == ["none", "theirs", "kd"]
    assert set(loaded.unavailable) == {"theirs"}
    reason = loaded.unavailable["theirs"]
    assert reason.startswith("unknown method 'theirs'. ")
    assert reason.endswith(f"plug-in {broken} failed: ValueError: on purpose ({broken}:1)")


def test_a_student_of_a_broken_plugin_is_an_error_with_the_cause(matrix_file: MatrixFile, tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("import no_such_package\n")
    path = matrix_file(pairs="[{teacher: net_large, student: theirs}]", plugins=f"[{SHAPES}, {broken}]")
    found = problems(path)
    assert found[0].startswith("m.yaml:3: pairs[0].student: unknown student 'theirs'.")
    assert found[1] == (
        "plug-in broken.py failed to load: ModuleNotFoundError: No module named 'no_such_package' (broken.py:1)"
    )


UNREADABLE = """
from bench.method import Method, {registry}

@{registry}.register("unreadable")
class Unreadable(Method):
    def __init__(self, pair, *, x: "NoSuchType" = 1):
        super().__init__(pair)
"""


def test_a_method_with_an_unreadable_signature_is_unavailable(matrix_file: MatrixFile, tmp_path: Path) -> None:
    plugin = tmp_path / "unreadable.py"
    plugin.write_text(UNREADABLE.format(registry="methods"))
    loaded = load_matrix(str(matrix_file(methods="[none, unreadable]", plugins=f"[{SHAPES}, {plugin}]")))
    assert loaded.unavailable == {
        "unreadable": "the options of Unreadable cannot be read from its signature: "
        f"name 'NoSuchType' is not defined ({plugin}:4)"
    }


def test_a_student_with_an_unreadable_signature_is_an_error(matrix_file: MatrixFile, tmp_path: Path) -> None:
    plugin = tmp_path / "unreadable.py"
    plugin.write_text(
        UNREADABLE.format(registry="methods")
        .replace("methods", "students")
        .replace("method", "models.base", 1)
        .replace("Method", "SegmentationModel")
    )
    path = matrix_file(pairs="[{teacher: net_large, student: unreadable}]", plugins=f"[{SHAPES}, {plugin}]")
    (found,) = problems(path)
    assert found.startswith("m.yaml:3: pairs[0].student: the options of Unreadable cannot be read from its signature")


def test_lists_that_multiply_are_refused_before_they_are_written_out(matrix_file: MatrixFile) -> None:
    many = ", ".join(str(value) for value in range(1, 200))
    path = matrix_file(methods=f"[none, {{name: kd, tau: [{many}], weight: [{many}]}}]")
    (found,) = problems(path)
    assert found.startswith("m.yaml:")
    assert found.endswith(": methods[1]: the lists of 'kd' stand for more than 10,000 cells, which nobody can train")


def test_repeated_seeds_are_found_among_many(matrix_file: MatrixFile) -> None:
    path = matrix_file(seeds="[" + ", ".join(map(str, [*range(20_000), 7])) + "]")
    assert len(problems(path)) == 1
