"""What changed of a folder's names since they were catalogued: one listing held against all that is known of the folder.

A folder that holds everything (of a camera, or of all of them) changes all the time and has a name for each recording
of months. So its names are compared in bulk, and none is parsed but those that are new; where it holds several cameras'
files, one listing serves the readings of all of them that follow within a minute.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from agents.recorders.catalogue import BETWEEN, Catalogue
from agents.recorders.path_template import Template
from monitor.model.span import MINUTE, Millis

SERVES: Millis = MINUTE
"""A listing that is no older serves other cameras too: what is newer than this isn't due yet in any reading."""

_WORD = 8
_ALL_BITS = 2**64 - 1
_MIX = np.uint64(0x9E3779B97F4A7C15)
"""2**64 over the golden ratio, odd: spreads a word over all bits (Knuth, The Art of Computer Programming 6.4)."""

_NO_NAMES: frozenset[bytes] = frozenset()


class Shelved(NamedTuple):
    """Whose shelf it is, and of which day."""

    camera: str
    day: int


@dataclass(frozen=True)
class Listing:
    """A folder's names beside what was known of them."""

    folder: bytes
    stamp: bytes
    """The folder's before it was listed."""
    at: Millis
    new: dict[str, list[bytes]]
    """By camera: names that nothing was known of, whether they fit or not."""
    lost: Mapping[Shelved, AbstractSet[bytes]]
    """Known names that are not there any more."""
    served: set[str] = field(default_factory=set)
    """The cameras that were told of it: once each, for what is new is known from then on."""

    def is_of(self, folder: bytes, now: Millis) -> bool:
        """Tell whether it is this folder's, and young enough."""
        return self.folder == folder and 0 <= now - self.at < SERVES

    def lost_of(self, camera: str, day: int) -> AbstractSet[bytes]:
        """Return which names a camera's day has lost."""
        return self.lost.get(Shelved(camera, day), _NO_NAMES)


class Lister:
    """Lists the folders of one template that hold files."""

    def __init__(self, template: Template, catalogue: Catalogue) -> None:
        """List nothing yet."""
        self._catalogue = catalogue
        self._is_shared = template.components[-1].tells_camera
        self._cameras = template.components[-1].regex(None)
        self._last: Listing | None = None

    def of(self, camera: str, path: bytes, place: bytes, stamp: bytes, now: Millis) -> Listing:
        """Return the listing of the folder at `path`, `place` in the catalogue. Raises FileNotFoundError without it."""
        last = self._last
        if last is None or not self._is_shared or camera in last.served or not last.is_of(path, now):
            self._last = None  # not two of them at a time
            self._last = last = self._listing(None if self._is_shared else camera, path, place, stamp, now)
        last.served.add(camera)
        return last

    def peek(self, path: bytes, place: bytes, stamp: bytes, now: Millis) -> Listing:
        """Return the listing of a folder of several cameras, for none of them yet. Raises as `of` does."""
        if self._last is None or not self._last.is_of(path, now):
            self._last = None
            self._last = self._listing(None, path, place, stamp, now)
        return self._last

    def _listing(self, camera: str | None, path: bytes, place: bytes, stamp: bytes, now: Millis) -> Listing:
        names = listed(path)
        shelves, known = self._catalogue.folder(place, camera)
        ends = np.cumsum([count for _, _, count in shelves])
        unknown, missing = beside(BETWEEN.join(names), len(names), known, int(ends[-1]) if shelves else 0)
        lost: dict[Shelved, set[bytes]] = {}
        were = known.split(BETWEEN) if missing else []
        for row in missing:
            owner, day, _ = shelves[int(np.searchsorted(ends, row, side="right"))]
            lost.setdefault(Shelved(owner, day), set()).add(were[row])
        new = [names[row] for row in unknown]
        return Listing(path, stamp, now, {camera: new} if camera is not None else self._by_camera(new), lost)

    def _by_camera(self, names: Iterable[bytes]) -> dict[str, list[bytes]]:
        found: dict[str, list[bytes]] = {}
        for name in names:
            match = self._cameras.fullmatch(os.fsdecode(name))
            if match is not None:
                found.setdefault(match["camera"], []).append(name)
        return found


def beside(names: bytes, count: int, known: bytes, known_count: int) -> tuple[list[int], list[int]]:
    """Return which of `names` aren't known, and which of `known` aren't among the names, as indices.

    Both are names joined by BETWEEN. They are compared by hashes of 64 bits: sorted arrays of them cost a fifth of sets.
    """
    widths = {_width(joined, number) for joined, number in ((names, count), (known, known_count)) if number}
    width = widths.pop() if len(widths) == 1 else 0
    one, other = _hashes(names, count, width), _hashes(known, known_count, width)
    here, there = np.sort(one), np.sort(other)
    return _absent(one, here, there), _absent(other, there, here)


def _width(joined: bytes, count: int) -> int:
    """Return the bytes of each name and what follows it, where all are alike, as recorders name them; else 0."""
    width = (len(joined) + 1) // count if count else 0
    if width * count != len(joined) + 1:
        return 0
    return width if not np.frombuffer(joined + BETWEEN, dtype=np.uint8)[width - 1 :: width].any() else 0


def _hashes(joined: bytes, count: int, width: int) -> NDArray[np.uint64]:
    """Return a hash of each name: of its bytes in bulk where all have the `width`, else one by one."""
    if not count or width == 0:
        names = joined.split(BETWEEN) if count else []
        return np.fromiter((hash(name) & _ALL_BITS for name in names), dtype=np.uint64, count=count)
    words = -(-width // _WORD)
    padded = np.zeros((count, words * _WORD), dtype=np.uint8)
    padded[:, :width] = np.frombuffer(joined + BETWEEN, dtype=np.uint8).reshape(count, width)
    found = np.full(count, width, dtype=np.uint64)
    for column in padded.view(np.uint64).T:
        found = (found ^ column) * _MIX
        found ^= found >> np.uint64(32)
    return found * _MIX


def _absent(these: NDArray[np.uint64], ordered: NDArray[np.uint64], those: NDArray[np.uint64]) -> list[int]:
    """Return the indices of what is in `these` (and in order in `ordered`) and not in `those`, which are in order."""
    if not len(those):
        return list(range(len(these)))
    found = those[np.minimum(np.searchsorted(those, ordered), len(those) - 1)] == ordered
    absent: list[int] = np.flatnonzero(np.isin(these, ordered[~found])).tolist() if not found.all() else []
    return absent


def listed(folder: bytes) -> list[bytes]:
    """Return a folder's names, in the file system's own bytes, and without a Path for each of a million files. Raises FileNotFoundError without it."""
    return os.listdir(folder)  # noqa: PTH208
