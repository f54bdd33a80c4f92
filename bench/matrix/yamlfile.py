"""A YAML file that remembers the line of every key."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.reader import ReaderError

from bench.base.errors import BenchError
from bench.base.textfile import read_utf8
from bench.matrix.yamlnodes import KeyPath, parse

__all__ = ["Document", "KeyPath", "dotted", "read_value", "read_yaml"]


MOST_BYTES = 2**20
"""Bytes that are read of a file."""


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
    try:
        data, lines = parse(text, path)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        hint = " YAML does not allow tabs for indentation: use spaces." if "'\\t'" in str(error.problem) else ""
        raise BenchError(f"{path}:{line}: not valid YAML: {_told(error)}.{hint}") from error
    except ReaderError as error:
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
        return parse(text, Path("--set"))[0]
    except YAMLError as error:
        raise BenchError(f"--set: '{text}' is not valid YAML: {_told(error)}") from error


def _told(error: YAMLError) -> str:
    if isinstance(error, MarkedYAMLError):
        return ", ".join(part for part in (error.context, error.problem) if part)
    return " ".join(str(error).split())


def _read_text(path: Path) -> str:
    if path.is_dir():
        raise BenchError(f"{path} is a folder, a YAML file is needed")
    try:
        return read_utf8(path, MOST_BYTES)
    except OSError as error:
        raise BenchError(f"cannot read {path}: {error.strerror}") from error
