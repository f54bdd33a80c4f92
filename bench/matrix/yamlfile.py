"""A strict YAML reader that remembers the line of every key.

YAML 1.1 reads ``1e-3`` as text, ``1:30`` as 90, ``010`` as 8, ``no`` as false and keeps the last of two equal keys.
Here scalars follow the YAML 1.2 core schema; a number with a leading zero, a repeated key, a tag and an alias inside
its own value are refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bench.base.errors import BenchError

KeyPath = tuple[str | int, ...]


class _CoreLoader(yaml.SafeLoader):
    """SafeLoader with the scalars of the YAML 1.2 core schema and without tags."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if tag := getattr(event, "tag", None):
            # a tag makes PyYAML convert the text unchecked: '!!int abc' raises no YAMLError but a ValueError
            raise yaml.composer.ComposerError(None, None, f"the tag '{tag}' is not used here", event.start_mark)
        return super().compose_node(parent, index)


_CoreLoader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("int", r"[-+]?(0|[1-9][0-9]*)", "-+0123456789"),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
    ),
):
    _CoreLoader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), list(_first))

_LEADING_ZERO = re.compile(r"^[-+]?0[0-9]+$")


@dataclass(frozen=True)
class Document:
    """A YAML file as plain values.

    Attributes:
        path: the file.
        data: dicts, lists and scalars.
        lines: the 1-based line of every key path.
        text_lines: the text of the file by line, for quoting.
    """

    path: Path
    data: Any
    lines: dict[KeyPath, int]
    text_lines: list[str]

    def line(self, path: KeyPath) -> int:
        """Return the line of a key path, or of its nearest parent that has one."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.lines:
                return self.lines[path[:length]]
        return 1

    def where(self, path: KeyPath) -> str:
        """Return ``file:line: key.path`` for messages."""
        return f"{self.path}:{self.line(path)}: {dotted(path)}"

    def quote(self, path: KeyPath) -> str:
        """Return the text of the line that a key path stands on."""
        number = self.line(path)
        return self.text_lines[number - 1].strip() if number <= len(self.text_lines) else ""


def dotted(path: KeyPath) -> str:
    """Return a key path as text, ``methods[1].tau``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text or "(top level)"


def read_yaml(path: Path) -> Document:
    """Read a YAML file strictly.

    Raises:
        BenchError: not a readable UTF-8 file, not YAML, empty, a repeated key, a leading zero; with lines.
    """
    text = _read_text(path)
    lines: dict[KeyPath, int] = {}
    try:
        data = _parse(text, path, lines)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        hint = " YAML does not allow tabs for indentation: use spaces." if "'\\t'" in str(error.problem) else ""
        raise BenchError(f"{path}:{line}: not valid YAML: {_told(error)}.{hint}") from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise BenchError(f"{path}:{line}: not valid YAML: {_told(error)}") from error
    if data is None:
        raise BenchError(f"{path}:1: the file is empty. See the presets for an example: python -m bench list presets")
    return Document(path, data, lines, text.splitlines())


def read_value(text: str) -> Any:
    """Read one value as YAML, for ``--set key=value``.

    Raises:
        BenchError: not valid YAML.
    """
    try:
        return _parse(text, Path("--set"), {})
    except yaml.YAMLError as error:
        raise BenchError(f"--set: '{text}' is not valid YAML: {_told(error)}") from error


def _parse(text: str, path: Path, lines: dict[KeyPath, int]) -> Any:
    """Return the plain value of a text, None where it is empty, and fill in the lines of its keys."""
    try:
        loader = _CoreLoader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        if problems := list(_problems(node, path)):
            raise BenchError(*problems)
        _collect_lines(node, (), lines)
        return loader.construct_document(node)
    except RecursionError:
        raise BenchError(f"{path}: nested too deeply to be read") from None


def _told(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError):
        return ", ".join(part for part in (error.context, error.problem) if part)
    return " ".join(str(error).split())


def _read_text(path: Path) -> str:
    if path.is_dir():
        raise BenchError(f"{path} is a folder, a YAML file is needed")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise BenchError(f"{path} is not UTF-8 text: byte {error.start} is {error.object[error.start]:#04x}") from error
    except OSError as error:
        raise BenchError(f"cannot read {path}: {error.strerror}") from error


def _problems(node: yaml.Node, path: Path, parents: tuple[yaml.Node, ...] = ()) -> Iterator[str]:
    inside = (*parents, node)
    if any(node is parent for parent in parents):
        yield f"{path}:{node.start_mark.line + 1}: an alias stands inside the value that it repeats"
    elif isinstance(node, yaml.MappingNode):
        first_line: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            name = str(key.value)
            if name in first_line:
                yield f"{path}:{line}: the key '{name}' stands here and on line {first_line[name]}: keep one"
            first_line.setdefault(name, line)
            yield from _problems(value, path, inside)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _problems(item, path, inside)
    elif isinstance(node, yaml.ScalarNode) and node.style is None and _LEADING_ZERO.match(node.value):
        number = node.value.lstrip("+-").lstrip("0") or "0"
        yield (
            f"{path}:{node.start_mark.line + 1}: '{node.value}' can be read as octal or decimal: "
            f'write {number}, or "{node.value}" for text'
        )


def _collect_lines(node: yaml.Node, path: KeyPath, lines: dict[KeyPath, int]) -> None:
    if path:
        lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            child = (*path, str(key.value))
            lines[child] = key.start_mark.line + 1
            _collect_lines(value, child, lines)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _collect_lines(item, (*path, index), lines)
