"""Reading XML that a device sent: namespace-agnostic, bounded, and deaf to document types and entities."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.parsers import expat

MAX_BYTES = 4 * 1024 * 1024
MAX_DEPTH = 32
MAX_NODES = 200_000

_INVISIBLE = b"\x00 \t\r\n"


class XmlError(ValueError):
    """The bytes are not the XML of a well-meaning device."""


@dataclass
class Node:
    """An element by its local name: makers change namespaces from firmware to firmware."""

    name: str
    attributes: dict[str, str]
    text: str = ""
    children: list[Node] = field(default_factory=list)

    def child(self, name: str) -> Node | None:
        """Return the first child called `name`."""
        return next((child for child in self.children if child.name == name), None)

    def find(self, *path: str) -> Node | None:
        """Return the first node down `path`, child by child."""
        node: Node | None = self
        for name in path:
            node = node.child(name) if node is not None else None
        return node

    def value(self, *path: str) -> str | None:
        """Return the stripped text down `path`; None when there is no such node."""
        node = self.find(*path)
        return None if node is None else node.text.strip()

    def all(self, name: str) -> list[Node]:
        """Return the children called `name`."""
        return [child for child in self.children if child.name == name]

    def walk(self) -> Iterator[Node]:
        """Return this node and all below it."""
        pending = [self]
        while pending:
            node = pending.pop()
            yield node
            pending.extend(reversed(node.children))


class _Builder:
    """Builds nodes from expat's events and stops at the limits."""

    def __init__(self) -> None:
        self.root: Node | None = None
        self._open: list[Node] = []
        self._texts: list[list[str]] = []
        """Of each open node: joined at its end, since a text that grows bit by bit is copied each time."""
        self._count = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if self._count > MAX_NODES or len(self._open) >= MAX_DEPTH:
            msg = "XML too large or too deep"
            raise XmlError(msg)
        node = Node(name.rpartition(":")[2], attributes)
        if self._open:
            self._open[-1].children.append(node)
        elif self.root is None:
            self.root = node
        self._open.append(node)
        self._texts.append([])

    def end(self, _name: str) -> None:
        self._open.pop().text = "".join(self._texts.pop())

    def data(self, text: str) -> None:
        if self._texts:
            self._texts[-1].append(text)

    def refuse(self, *_: object) -> None:
        msg = "XML with a document type or entities is refused"
        raise XmlError(msg)


def parse(body: bytes) -> Node:
    """Return the root of `body`. Raises XmlError for anything but one bounded XML document."""
    if len(body) > MAX_BYTES:
        msg = f"XML over {MAX_BYTES} bytes"
        raise XmlError(msg)
    if body.count(b"<") > 2 * MAX_NODES:  # before anything is built: a million empty elements cost seconds
        msg = "XML too large"
        raise XmlError(msg)
    builder = _Builder()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = builder.refuse
    parser.EntityDeclHandler = builder.refuse
    try:
        parser.Parse(_trimmed(body), True)
    except expat.ExpatError as error:
        msg = f"not XML: {expat.ErrorString(error.code)} in line {error.lineno}"
        raise XmlError(msg) from error
    except (LookupError, ValueError) as error:
        if isinstance(error, XmlError):
            raise
        msg = f"XML in an encoding that cannot be read: {error}"
        raise XmlError(msg) from error
    if builder.root is None:
        msg = "XML without an element"
        raise XmlError(msg)
    return builder.root


def _trimmed(body: bytes) -> bytes:
    """Cut blanks and NULs that some firmware pads with; an XML declaration must be the first thing."""
    return body.lstrip(_INVISIBLE) if body.startswith(b"\xff\xfe") else body.strip(_INVISIBLE)
