from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml.error import YAMLError

from bench.base.errors import BenchError
from bench.matrix import yamlnodes
from bench.matrix.yamlnodes import MOST_LEVELS, MOST_VALUES, KeyPath, parse


def read(text: str) -> tuple[Any, dict[KeyPath, int]]:
    return parse(text, Path("m.yaml"))


def refused(text: str) -> str:
    with pytest.raises(BenchError) as caught:
        read(text)
    return str(caught.value)


def bomb(levels: int, width: int = 9) -> str:
    """Return a text of a few hundred bytes that stands for about ``width ** levels`` values."""
    lines = ["a0: &a0 [" + ", ".join(["x"] * width) + "]"]
    lines += [f"a{i}: &a{i} [" + ", ".join([f"*a{i - 1}"] * width) + "]" for i in range(1, levels)]
    return "\n".join(lines) + "\n"


def test_aliases_that_multiply_are_refused_before_they_are_written_out() -> None:
    assert refused(bomb(9)) == (
        f"m.yaml:6: with its aliases written out, this holds more than {MOST_VALUES:,} values, which no matrix needs"
    )
    assert "more than" in refused(bomb(90))
    value, lines = read(bomb(4))
    assert value["a3"][8][8][8][8] == "x"
    assert lines["a3", 8, 8, 8, 8] == 1


def test_a_long_list_counts_as_well() -> None:
    text = "a: &a [" + "x, " * 400 + "]\nb:\n"
    value, _ = read(text + "- *a\n" * 200)
    assert [len(item) for item in value["b"]] == [400] * 200
    assert refused(text + "- *a\n" * 300).startswith("m.yaml:3: with its aliases")


def test_an_alias_is_a_value_of_its_own() -> None:
    value, _ = read("a: &x {b: [1]}\nc: *x\nd: [*x, *x]\n")
    assert value == {"a": {"b": [1]}, "c": {"b": [1]}, "d": [{"b": [1]}, {"b": [1]}]}
    value["c"]["b"].append(2)
    assert value["a"] == value["d"][0] == value["d"][1] == {"b": [1]}


def test_a_mistake_that_aliases_repeat_is_told_once() -> None:
    assert refused("a: &x [010]\nb: [*x, *x]\n").count("can be read as octal") == 1


@pytest.mark.parametrize("text", ["a: &x {*x : 1}\n", "a: &x\n  b: &y\n    c: *x\n"], ids=["key", "deep"])
def test_an_alias_inside_its_own_value_is_refused_wherever_it_stands(text: str) -> None:
    assert refused(text).endswith("an alias stands inside the value that it repeats")


def test_an_anchor_is_set_once() -> None:
    with pytest.raises(YAMLError, match=r"the anchor '&x' is set here and on line 1"):
        read("a: &x 1\nb: &x 2\nc: *x\n")


@pytest.mark.parametrize("text", ["! 12", "!<tag:yaml.org,2002:int> 12", "!!str 12", "{a: !own [1]}", "[!!map {a: 1}]"])
def test_no_tag_of_any_form_is_read(text: str) -> None:
    with pytest.raises(YAMLError, match=r"the tag '.*' is not used here"):
        read(text)


@pytest.mark.parametrize("text", ["{{ x }}: 1", "a: {{x}}", "? {a: 1}\n: 2"])
def test_a_key_is_one_word(text: str) -> None:
    assert refused(text) == "m.yaml:1: a key is one word, not a list or a mapping"


@pytest.mark.parametrize("keys", [("1", "'1'"), ("1", "true"), ("2", "2.0"), ("~", "null")])
def test_keys_that_are_the_same_to_a_reader_or_to_python_are_one_key(keys: tuple[str, str]) -> None:
    first, second = keys
    assert refused(f"{first}: a\n{second}: b\n").endswith("stands here and on line 1: keep one")


def test_numbers_of_thousands_of_digits_are_refused() -> None:
    assert refused("\na: " + "9" * 5000) == "m.yaml:2: a number of 5000 digits cannot be read"


@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_a_version_changes_nothing(version: str) -> None:
    assert read(f"%YAML {version}\n---\na: no\nb: 1:30\n")[0] == {"a": "no", "b": "1:30"}


def test_versions_that_do_not_exist_are_told() -> None:
    assert refused("%YAML 1.9\n---\na: 1\n").startswith("m.yaml: not valid YAML: version")


def test_the_levels_that_are_read() -> None:
    assert read("[" * MOST_LEVELS + "]" * MOST_LEVELS)
    told = f"nested too deeply to be read, more than {MOST_LEVELS} levels"
    assert refused("a: 1\nb:\n " + "[" * (MOST_LEVELS + 1) + "]" * (MOST_LEVELS + 1)) == f"m.yaml:3: {told}"
    for text in ("- " * 5000, "? " * 5000, "{" * 5000, "".join(f"{' ' * i}a:\n" for i in range(2000))):
        assert refused(text).endswith(told)


def test_levels_that_aliases_add_count_as_well() -> None:
    def chain(n: int) -> str:
        return "a0: &a0 [1]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, n))

    assert read(chain(MOST_LEVELS - 2))
    for n in (MOST_LEVELS, 440):
        assert refused(chain(n)).endswith(f"nested too deeply to be read, more than {MOST_LEVELS} levels")


def test_a_list_without_aliases_is_read_no_further_than_it_is_of_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yamlnodes, "MOST_VALUES", 20)
    assert refused("a:\n" + "- 1\n" * 30 + "- [\n") == (
        "m.yaml:19: here the file holds more than 100,000 values, which no matrix needs"
    )


def test_values_are_pythons_own() -> None:
    text = "a: [1, 1.5, true, ~, x, 'y', \"z\"]\nb: .inf\nc: |\n  text\nd: {3: x, y: 2, true: z}\n"
    value, _ = read(text)
    assert [type(item) for item in value["a"]] == [int, float, bool, type(None), str, str, str]
    assert [type(value[key]) for key in "abcd"] == [list, float, str, dict]
    assert [type(key) for key in value["d"]] == [int, str, bool]
    assert type(value) is dict
