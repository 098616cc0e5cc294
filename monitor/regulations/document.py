"""From the bytes of a YAML file to plain values, each with the line on which it stands."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from monitor.regulations.problem import Key, PackError, Problem, format_key

MAX_BYTES = 256 * 1024
"""Ten times the largest pack: what is larger is something else."""
MAX_DEPTH = 32
MAX_VALUES = 20_000
"""Values after aliases are written out: a few lines of aliases can stand for billions of values."""

_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})?\.[0-9]{1,18}([eE][-+]?[0-9]{1,3})?")
_WORDS: dict[str, bool | None] = {"": None, "~": None, "null": None, "true": True, "false": False}
_PLAIN_TAGS = frozenset({"tag:yaml.org,2002:str", "tag:yaml.org,2002:seq", "tag:yaml.org,2002:map"})


@dataclass
class Document:
    """A file's values, where they stand, and what is wrong with its form."""

    file: str
    data: Any = None
    lines: dict[Key, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def line(self, key: Key) -> int:
        """Return the line of `key`, or of the nearest key around it that the file has."""
        while key and key not in self.lines:
            key = key[:-1]
        return self.lines.get(key, 1)

    def problem(self, key: Key, message: str) -> Problem:
        """Return a problem with what stands at `key`."""
        return Problem(self.file, self.line(key), format_key(key), message)


class _Composer(yaml.BaseLoader):
    """Composes nodes only: constructs no objects, resolves no types, and keeps to a depth."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Compose one node, no deeper than MAX_DEPTH."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]  # PyYAML's stubs leave it out
            raise yaml.MarkedYAMLError(problem=f"is nested deeper than {MAX_DEPTH} levels", problem_mark=mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def read_document(path: Path) -> Document:
    """Read a YAML file into plain values. Raises PackError when there is nothing to work with."""
    file = shown(path)
    text = _decode(file, _read(file, path))
    document = Document(file)
    node = _compose(file, text)
    if node is None:
        raise PackError([Problem(file, 1, "", "is empty; write a pack into it")])
    _Builder(document).build(node)
    return document


def shown(path: Path) -> str:
    """Return a path as people know it: relative to where they stand, when it lies below."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except (ValueError, OSError, RuntimeError):
        return str(path)


def _read(file: str, path: Path) -> bytes:
    try:
        if not path.is_file():
            raise PackError([Problem(file, 0, "", _no_file(path))])
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise PackError([Problem(file, 0, "", f"can't be read: {reason}")]) from error
    if len(content) > MAX_BYTES:
        raise PackError([Problem(file, 0, "", f"is larger than {MAX_BYTES // 1024} KiB; a pack is a short text")])
    return content


def _no_file(path: Path) -> str:
    if path.is_dir():
        return "is a directory; name the file in it"
    return "is no ordinary file but a device or a pipe; name a file" if path.exists() else "there is no such file"


def _decode(file: str, content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise PackError([Problem(file, line, "", "is not UTF-8 text; save it as UTF-8")]) from error


def _compose(file: str, text: str) -> yaml.Node | None:
    """Return the only document's root node. Raises PackError when the text is no YAML."""
    try:
        loader = _Composer(text)
        try:
            node: yaml.Node | None = loader.get_single_node()
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        parts = [part for part in (error.context, error.problem) if part]
        line = mark.line + 1 if mark else 1
        raise PackError([Problem(file, line, "", f"is not YAML: {', '.join(parts)}")]) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise PackError([Problem(file, line, "", "holds a character that no text has")]) from error
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        # A \U escape beyond Unicode or a %YAML directive of thousands of digits: PyYAML leaves these to chr and int.
        raise PackError([Problem(file, 0, "", "is not YAML: an escape or a number in it is out of range")]) from error
    return node


class _Stop(Exception):
    """There is more here than a pack can hold."""


class _Builder:
    """Turns nodes into plain values, writing down lines and problems."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.values = 0

    def build(self, root: yaml.Node) -> None:
        try:
            self.document.data = self._value(root, ())
        except _Stop as stop:
            raise PackError([*self.document.problems, Problem(self.document.file, 0, "", str(stop))]) from stop

    def _value(self, node: yaml.Node, key: Key) -> Any:
        self.values += 1
        if self.values > MAX_VALUES:
            raise _Stop(f"holds more than {MAX_VALUES} values once its aliases (*) are written out")
        if len(key) > MAX_DEPTH:
            raise _Stop(f"is nested deeper than {MAX_DEPTH} levels once its aliases (*) are written out")
        self.document.lines.setdefault(key, node.start_mark.line + 1)
        if node.tag not in _PLAIN_TAGS:
            self._note(node, key, f"the tag {node.tag} is not read; write a plain value")
        if isinstance(node, yaml.MappingNode):
            return dict(self._items(node, key))
        if isinstance(node, yaml.SequenceNode):
            return [self._value(item, (*key, index)) for index, item in enumerate(node.value)]
        return self._scalar(node, key) if isinstance(node, yaml.ScalarNode) else None

    def _items(self, node: yaml.MappingNode, key: Key) -> Iterator[tuple[str, Any]]:
        first: dict[str, int] = {}
        for name_node, value_node in node.value:
            line = name_node.start_mark.line + 1
            if not isinstance(name_node, yaml.ScalarNode):
                self._note(name_node, key, "a key must be a plain word")
                continue
            name = self._text(name_node, key)
            here = (*key, name)
            if name in first:
                self._note(name_node, here, f"this key is written twice; it first stands on line {first[name]}")
                continue
            first[name] = self.document.lines[here] = line
            yield name, self._value(value_node, here)

    def _scalar(self, node: yaml.ScalarNode, key: Key) -> Any:
        """Read a plain scalar as JSON would: `no` and `12:30` are texts, not false and 750."""
        value = self._text(node, key)
        if node.style is not None:
            return value
        if value.lower() in _WORDS:
            return _WORDS[value.lower()]
        if _INTEGER.fullmatch(value):
            return int(value)
        if _FLOAT.fullmatch(value) and math.isfinite(float(value)):
            return float(value)
        return value

    def _text(self, node: yaml.Node, key: Key) -> str:
        """Return a scalar's text; half characters and control characters are no text and are left out."""
        value = str(node.value)
        clean = "".join(char for char in value if _is_text(char))
        if clean != value:
            self._note(node, key, "holds a control character or half a character")
        return clean

    def _note(self, node: yaml.Node, key: Key, message: str) -> None:
        line = node.start_mark.line + 1
        self.document.problems.append(Problem(self.document.file, line, format_key(key), message))


def _is_text(char: str) -> bool:
    code = ord(char)
    return char in "\n\t" or (code >= 0x20 and not 0x7F <= code < 0xA0 and not 0xD800 <= code < 0xE000)
