from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bench.base.errors import BenchError
from bench.matrix.yamlfile import Document, dotted, read_value, read_yaml


def read(folder: Path, text: str | bytes) -> Document:
    path = folder / "m.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_yaml(path)


def refused(folder: Path, text: str | bytes) -> list[str]:
    with pytest.raises(BenchError) as caught:
        read(folder, text)
    return [problem.replace(f"{folder}/", "") for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1E3", 1000.0),
        ("-.5", -0.5),
        ("3.", 3.0),
        ("0", 0),
        ("-12", -12),
        ("0.10", 0.1),
        ("true", True),
        ("False", False),
        ("~", None),
        ("null", None),
        ("no", "no"),
        ("on", "on"),
        ("y", "y"),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("0x10", "0x10"),
        ("0o17", "0o17"),
        ("2024-01-01", "2024-01-01"),
        ("'010'", "010"),
        ("[1, a]", [1, "a"]),
        ("{a: {b: 1}}", {"a": {"b": 1}}),
        ("", None),
    ],
)
def test_scalars_follow_the_core_schema(text: str, value: Any) -> None:
    found = read_value(text)
    assert found == value
    assert type(found) is type(value)


def is_number(text: str) -> bool:
    """Tell what may be a number: the writer follows YAML 1.1, where ``0E0`` is text that needs no quotes."""
    try:
        float(text)
    except ValueError:
        return False
    return True


TEXTS = st.text(st.characters(codec="ascii")).filter(lambda text: not is_number(text))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abcxyz", min_size=1), inner, max_size=3),
        max_leaves=8,
    )
)
def test_reads_what_a_yaml_writer_wrote(value: Any) -> None:
    assert read_value(yaml.safe_dump(value)) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\n\na: 3\n", "m.yaml:4: the key 'a' stands here and on line 1: keep one"),
        ("a:\n  b: 1\n  'b': 2\n", "m.yaml:3: the key 'b' stands here and on line 2: keep one"),
        ("a: [1, 010]\n", "m.yaml:1: '010' can be read as octal or decimal: write 10, or \"010\" for text"),
        ("\na: -00\n", "m.yaml:2: '-00' can be read as octal or decimal: write 0, or \"-00\" for text"),
        (
            "a:\n\tb: 1\n",
            "m.yaml:2: not valid YAML: while scanning for the next token, found character '\\t' that cannot start any "
            "token. YAML does not allow tabs for indentation: use spaces.",
        ),
        ("a: b: c\n", "m.yaml:1: not valid YAML: mapping values are not allowed here."),
        ("a: [1\nb: 2\n", "m.yaml:2: not valid YAML: while parsing a flow sequence, expected ',' or ']', but got ':'."),
        (
            "a: 1\n---\nb: 2\n",
            "m.yaml:2: not valid YAML: expected a single document in the stream, but found another document.",
        ),
        ("a: *b\n", "m.yaml:1: not valid YAML: found undefined alias 'b'."),
        ("? [a]\n: 1\n", "m.yaml:1: a key is one word, not a list or a mapping"),
        ("a: 1\nb: !!int abc\n", "m.yaml:2: not valid YAML: the tag 'tag:yaml.org,2002:int' is not used here."),
        (
            "a: !!python/object/apply:os.system [ls]\n",
            "m.yaml:1: not valid YAML: the tag 'tag:yaml.org,2002:python/object/apply:os.system' is not used here.",
        ),
        (
            "a: 1\nb: \0\n",
            "m.yaml:2: not valid YAML: unacceptable character #x0000: special characters are not allowed "
            'in "<unicode string>", position 8',
        ),
        ("a: &a [*a]\n", "m.yaml:1: an alias stands inside the value that it repeats"),
        ("b: 1\na: &a {b: [*a]}\n", "m.yaml:2: an alias stands inside the value that it repeats"),
        ("[" * 5000, "m.yaml:1: nested too deeply to be read, more than 100 levels"),
        ("", "m.yaml:1: the file is empty. See the presets for an example: python -m bench list presets"),
        (
            "# nothing\n\n",
            "m.yaml:1: the file is empty. See the presets for an example: python -m bench list presets",
        ),
        (b"a: caf\xe9\n", "m.yaml is not UTF-8 text: byte 6 is 0xe9 (line 1, column 7). Save it as UTF-8."),
        (
            "a: 1\n".encode("utf-16"),
            "m.yaml is not UTF-8 text but UTF-16: byte 0 is 0xff (line 1, column 1). Save it as UTF-8.",
        ),
    ],
)
def test_refusals_name_the_line(tmp_path: Path, text: str | bytes, message: str) -> None:
    assert refused(tmp_path, text) == [message]


def test_all_repeated_keys_and_leading_zeros_are_told_at_once(tmp_path: Path) -> None:
    assert len(refused(tmp_path, "a: 01\na: 02\nb: {c: 1, c: 2}\n")) == 4


def test_a_file_is_read_no_further_than_it_is_of_use(tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    with path.open("wb") as file:
        file.truncate(2**40)  # takes no place on the disk
    with pytest.raises(BenchError, match=r"m\.yaml holds more than 1,048,576 bytes, which no matrix needs"):
        read_yaml(path)
    assert read(tmp_path, "a: 1\r\nb: |\r\n  x\r\n  y\r\n").data == {"a": 1, "b": "x\ny\n"}


def test_no_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"cannot read .*absent\.yaml: No such file or directory"):
        read_yaml(tmp_path / "absent.yaml")
    with pytest.raises(BenchError, match="is a folder, a YAML file is needed"):
        read_yaml(tmp_path)


@pytest.mark.parametrize("text", ["[1", "&a [*a]", "!!int x", "\0", "{a: 1, a: 2}", "010"])
def test_a_bad_value_on_the_command_line_is_refused(text: str) -> None:
    with pytest.raises(BenchError, match=r"^--set"):
        read_value(text)


def test_an_alias_beside_its_anchor_is_the_same_value(tmp_path: Path) -> None:
    assert read(tmp_path, "a: &x {b: 1}\nc: *x\n").data == {"a": {"b": 1}, "c": {"b": 1}}


def test_lines_of_key_paths(tmp_path: Path) -> None:
    document = read(tmp_path, "a:\n  - b: 1\n  - c:\n      d: 2\n")
    assert document.line(("a",)) == 1
    assert document.line(("a", 1, "c", "d")) == 4
    assert document.line(("a", 1, "c", "absent", "deeper")) == 3  # the nearest parent's
    assert document.line(("absent",)) == 1
    assert document.where(("a", 1, "c", "d")) == f"{tmp_path / 'm.yaml'}:4: a[1].c.d"
    assert document.quote(("a", 0, "b")) == "- b: 1"
    assert dotted(()) == "(top level)"


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path: Path) -> None:
    assert read(tmp_path, "\ufeffa: 1\n").data == {"a": 1}
