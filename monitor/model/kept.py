"""What cameras' indexes come to, kept by what they were made of: old readings aren't read again, and nothing kept is stale."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock

from monitor.model.observation import Observation
from monitor.model.recordings import Index
from monitor.model.span import Millis

Name = tuple[Millis, str]
"""A reading: when it was made, and the digest of its content. In the order of these readings are folded."""

Key = tuple[str, str]
"""(institution, camera)."""

MOST_BYTES = 256 * 1024 * 1024
"""So much is kept by one process: 64 cameras with ninety days of segments of a minute that don't touch need 135 MB."""

_ENTRY = 2_000
_PAIR = 150
"""Bytes that an entry has at least, and that a span has in an observation's facts, about."""


@dataclass(frozen=True)
class _Kept:
    count: int
    made_of: bytes
    """The digest of the names of the first `count` readings."""
    upto: Name
    index: Index
    weight: int


class KeptIndexes:
    """At most so many bytes of indexes; what was not asked for longest goes first. May be used by several threads.

    An index is found by the names of all the readings that it was made of: one that was added late, exchanged or taken
    away makes other names, and then nothing is found. It is never corrected, cut or judged: clocks, hours, closures,
    zones, waivers and packs have no part in it.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        """Keep nothing yet, and never more than `most_bytes`."""
        self._most = most_bytes
        self._kept: OrderedDict[Key, _Kept] = OrderedDict()
        self._lock = Lock()
        self.weight = 0
        """Bytes kept, about."""

    def known(self, key: Key, names: Sequence[Name]) -> tuple[Index | None, Sequence[Name]]:
        """Return what a beginning of `names` (all readings, in order) comes to, and the names that are left to be read."""
        with self._lock:
            found = self._kept.get(key)
            if found is None or len(names) < found.count or _digest(names[: found.count]) != found.made_of:
                return None, names
            self._kept.move_to_end(key)
            return found.index, names[found.count :]

    def keep(self, key: Key, names: Sequence[Name], index: Index) -> None:
        """Keep what the readings of these names come to. A look at the past doesn't replace what is known since."""
        made = _Kept(len(names), _digest(names), names[-1], index, _weight(index))
        with self._lock:
            before = self._kept.get(key)
            if before is not None and before.upto > made.upto:
                return
            self._drop(key)
            if made.weight > self._most:
                return
            self._kept[key] = made
            self.weight += made.weight
            while self.weight > self._most:
                self._drop(next(iter(self._kept)))

    def _drop(self, key: Key) -> None:
        before = self._kept.pop(key, None)
        self.weight -= 0 if before is None else before.weight


def _digest(names: Sequence[Name]) -> bytes:
    return hashlib.sha256("\n".join(f"{at} {digest}" for at, digest in names).encode()).digest()


def _weight(index: Index) -> int:
    arrays = sum(spans.pairs.nbytes for spans in (index.footage, index.locked, index.scanned))
    said = {id(item): item for item in (index.newest, index.refusal) if item is not None}
    return _ENTRY + arrays + sum(map(_said, said.values()))


def _said(item: Observation) -> int:
    """Return about how many bytes an observation's facts are, of which lists of spans are nearly all."""
    return sum(_PAIR * len(value) if isinstance(value, list) else _PAIR for value in item.facts.values())
