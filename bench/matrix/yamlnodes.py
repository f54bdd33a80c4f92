"""From a YAML text to plain values, strictly.

ruamel.yaml parses. Its own values are not taken, as they go beyond the core schema of YAML 1.2, where ``2024-01-01``,
``1_000`` and ``0o17`` are text. A number with a leading zero, a repeated key, a tag, an anchor that is set twice, an
alias inside its own value and aliases that multiply are refused.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer, ComposerError, MaxDepthExceededError
from ruamel.yaml.events import AliasEvent
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from bench.base.errors import BenchError
from bench.base.text import escaped, is_text, whole_characters

KeyPath = tuple[str | int, ...]

MOST_LEVELS = 100
"""Levels of nesting that are read."""

MOST_VALUES = 100_000
"""Keys, scalars, lists and mappings that a text may stand for once its aliases are written out."""

_CONSTANTS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


def parse(text: str, path: Path) -> tuple[Any, dict[KeyPath, int]]:
    """Return what a text says, and where.

    Args:
        text: one YAML document.
        path: the file that it is from, for messages.

    Returns:
        Dicts, lists and scalars, None where the text is empty; and the 1-based line of every key path.

    Raises:
        YAMLError: not YAML.
        BenchError: YAML that is not accepted; with all mistakes.
    """
    loader = YAML(typ="safe", pure=True)
    loader.Composer = _StrictComposer
    loader.max_depth = MOST_LEVELS
    try:
        root = loader.compose(text)
    except MaxDepthExceededError as error:
        raise _too_deep(path, error.problem_mark.line + 1) from None
    except _TooManyValues as error:
        raise BenchError(f"{path}:{error.line}: here the file holds {_TOO_MANY}") from None
    except AssertionError as error:  # all that ruamel.yaml has for a version that it does not know, as in '%YAML 1.9'
        raise BenchError(f"{path}: not valid YAML: {error}") from error
    if root is None:
        return None, {}
    _measure(root, path, {})
    reading = _Reading(path)
    value = reading.value(root)
    if reading.problems:
        raise BenchError(*reading.problems)
    return value, reading.lines


_TOO_MANY = f"more than {MOST_VALUES:,} values, which no matrix needs"


def _too_deep(path: Path, line: int) -> BenchError:
    return BenchError(f"{path}:{line}: nested too deeply to be read, more than {MOST_LEVELS} levels")


class _TooManyValues(Exception):  # noqa: N818
    """A text holds more values than are read."""

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line


class _StrictComposer(Composer):
    """Makes nodes of a text without tags in which every anchor is set once, as many as are read."""

    n_nodes = 0

    def compose_node(self, parent: Node | None, index: Any) -> Any:
        event = self.parser.peek_event()
        self.n_nodes += 1
        if self.n_nodes > MOST_VALUES:
            raise _TooManyValues(event.start_mark.line + 1)
        if tag := getattr(event, "tag", None):
            raise ComposerError(None, None, f"the tag '{tag}' is not used here", event.start_mark)
        if not isinstance(event, AliasEvent) and event.anchor in self.anchors:
            first = _line(self.anchors[event.anchor])
            problem = f"the anchor '&{event.anchor}' is set here and on line {first}"
            raise ComposerError(None, None, problem, event.start_mark)
        return super().compose_node(parent, index)


def _line(node: Node) -> int:
    line: int = node.start_mark.line
    return line + 1


class _Measure(NamedTuple):
    """What a node stands for once its aliases are written out."""

    n_values: int
    levels: int


_OPEN = _Measure(0, 0)
"""Of a node that is being measured."""


def _measure(node: Node, path: Path, known: dict[int, _Measure]) -> _Measure:
    """Return what a node stands for once its aliases are written out, without writing them out.

    Args:
        node: the node.
        path: the file, for messages.
        known: of the nodes seen so far, by identity.

    Raises:
        BenchError: an alias stands inside its own value, or there are more values or levels than are read.
    """
    if id(node) not in known:
        known[id(node)] = _OPEN
        inner = [_measure(child, path, known) for child in _children(node)]
        found = _Measure(1 + sum(one.n_values for one in inner), 1 + max((one.levels for one in inner), default=0))
        if found.n_values > MOST_VALUES:
            raise BenchError(f"{path}:{_line(node)}: with its aliases written out, this holds {_TOO_MANY}")
        if found.levels > MOST_LEVELS:
            raise _too_deep(path, _line(node))
        known[id(node)] = found
    if known[id(node)] is _OPEN:
        raise BenchError(f"{path}:{_line(node)}: an alias stands inside the value that it repeats")
    return known[id(node)]


def _children(node: Node) -> list[Node]:
    if isinstance(node, MappingNode):
        return [child for pair in node.value for child in pair]
    return node.value if isinstance(node, SequenceNode) else []


class _Reading:
    """Makes plain values of nodes; each alias becomes a value of its own.

    Args:
        path: the file, for messages.

    Attributes:
        lines: the 1-based line of every key path.
        problems: the mistakes found, each once.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: dict[KeyPath, int] = {}
        self.problems: dict[str, None] = {}

    def value(self, node: Node, at: KeyPath = ()) -> Any:
        """Return the value of a node that stands at a key path."""
        if at:
            self.lines.setdefault(at, _line(node))
        if isinstance(node, MappingNode):
            return self._mapping(node, at)
        if isinstance(node, SequenceNode):
            return [self.value(item, (*at, index)) for index, item in enumerate(node.value)]
        return self._scalar(node)

    def _mapping(self, node: MappingNode, at: KeyPath) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        first_line: dict[Any, int] = {}
        for key, item in node.value:
            if not isinstance(key, ScalarNode):
                self._report(key, "a key is one word, not a list or a mapping")
                continue
            name, word, line = whole_characters(str(key.value)), self._scalar(key), _line(key)
            first = first_line.get(name) or first_line.get(word)  # 1 and '1' look the same, 1 and true are to Python
            if first:
                self._report(key, f"the key '{name}' stands here and on line {first}: keep one")
            first_line |= {name: first or line, word: first or line}
            self.lines[*at, name] = line
            found[word] = self.value(item, (*at, name))
        return found

    def _scalar(self, node: Node) -> Any:
        """Return a scalar as the core schema reads it; what is quoted is text."""
        text = whole_characters(str(node.value))
        if not is_text(text):
            self._report(node, f"'{escaped(text)}' holds half a character, which is no text: write the whole one")
        if not isinstance(node, ScalarNode) or node.style is not None:
            return text
        if text in _CONSTANTS:
            return _CONSTANTS[text]
        if _LEADING_ZERO.fullmatch(text):
            number = text.lstrip("+-").lstrip("0") or "0"
            self._report(node, f"'{text}' can be read as octal or decimal: write {number}, or \"{text}\" for text")
        elif _INTEGER.fullmatch(text):
            return self._integer(node, text)
        elif _FLOAT.fullmatch(text) or _NOT_FINITE.fullmatch(text):
            return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
        return text

    def _integer(self, node: Node, text: str) -> int | None:
        try:
            return int(text)
        except ValueError:  # Python converts no more than some thousand digits
            self._report(node, f"a number of {len(text)} digits cannot be read")
            return None

    def _report(self, node: Node, sentence: str) -> None:
        self.problems[f"{self.path}:{_line(node)}: {sentence}"] = None
