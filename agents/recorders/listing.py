"""What changed of a folder's names since they were catalogued: one listing held against all that is known of the folder.

A folder that holds everything (of a camera, or of all of them) changes all the time and has a name for each recording
of months. So its names are compared in bulk, and none is parsed but those that are new; where it holds several cameras'
files, one listing serves the readings of all of them that follow within a minute.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from agents.recorders.catalogue import BETWEEN, Catalogue, Joined
from agents.recorders.path_template import Template
from monitor.model.span import MINUTE, Millis

SERVES: Millis = MINUTE
"""A listing that is no older serves other cameras too: what is newer than this isn't due yet in any reading."""

BATCH = 16_384
"""So many names are hashed at once: few enough for a processor's cache."""

WIDTHS = (24, 32, 48, 64, 128, 1024)
"""Bytes of a row that names are put into, the first that is wide enough for all; names of files are shorter than the last."""

SAMPLE = 16
"""Where so many of the first names have one length, all may have."""

_MIX = np.uint64(0x9E3779B97F4A7C15)
"""2**64 over the golden ratio, odd: spreads a word over all bits (Knuth, The Art of Computer Programming 6.4)."""

Hashes = NDArray[np.uint64]
Rows = NDArray[np.uint8]
"""A name each, zeros behind it."""

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
        known = self._catalogue.folder(place, camera)
        unknown, missing = beside(names, [one.names for one in known])
        lost: dict[Shelved, set[bytes]] = {}
        for number, rows in missing.items():
            owner, day, (_, joined) = known[number]
            were = joined.split(BETWEEN)
            lost[Shelved(owner, day)] = {were[row] for row in rows}
        new = [names[row] for row in unknown]
        return Listing(path, stamp, now, {camera: new} if camera is not None else self._by_camera(new), lost)

    def _by_camera(self, names: Iterable[bytes]) -> dict[str, list[bytes]]:
        found: dict[str, list[bytes]] = {}
        for name in names:
            match = self._cameras.fullmatch(os.fsdecode(name))
            if match is not None:
                found.setdefault(match["camera"], []).append(name)
        return found


def beside(names: Sequence[bytes], known: Sequence[Joined]) -> tuple[list[int], dict[int, list[int]]]:
    """Return which of `names` aren't known, as indices; and by part which rows of the `known` aren't among the names.

    They are compared by hashes of 64 bits, sorted: a quarter of what sets of them cost where both are the same, since then
    nothing more is done.
    """
    hashed = (_hashes_of_both(names, known, width) for width in WIDTHS)
    here, there = next(both for both in hashed if both is not None)
    one, other = np.sort(here), np.sort(there)
    if np.array_equal(one, other):
        return [], {}
    alone = _alone(one, other)
    ends = np.cumsum([0, *(count for count, _ in known)])
    missing: dict[int, list[int]] = {}
    for row in np.flatnonzero(np.isin(there, alone)).tolist():
        part = int(np.searchsorted(ends, row, side="right")) - 1
        missing.setdefault(part, []).append(row - int(ends[part]))
    return np.flatnonzero(np.isin(here, alone)).tolist(), missing


def _alone(one: Hashes, other: Hashes) -> Hashes:
    """Return what is in one of two sorted arrays alone."""
    both = np.concatenate([array[_firsts(array)] for array in (one, other)])
    both.sort(kind="stable")  # two runs that are in order are merged
    firsts = _firsts(both)
    alone: Hashes = both[firsts & np.append(firsts[1:], True)]
    return alone


def _firsts(ordered: Hashes) -> NDArray[np.bool_]:
    """Tell of each of a sorted array whether it is another one than that before it."""
    found = np.ones(len(ordered), dtype=np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=found[1:])
    return found


def _hashes_of_both(names: Sequence[bytes], known: Sequence[Joined], width: int) -> tuple[Hashes, Hashes] | None:
    """Return a hash of each name, listed and known; None when one may be too long for rows of this width."""
    here = _hashes(_listed_rows(names, width), len(names))
    there = _hashes(_known_rows(known, width), sum(count for count, _ in known)) if here is not None else None
    return (here, there) if here is not None and there is not None else None


def _listed_rows(names: Sequence[bytes], width: int) -> Iterator[Rows]:
    for at in range(0, len(names), BATCH):
        some = names[at : at + BATCH]
        alike = len({len(name) for name in some[:SAMPLE]}) == 1
        rows = _even_rows(len(some), BETWEEN.join(some), width) if alike else None
        yield rows if rows is not None else _rows(some, width)


def _known_rows(known: Iterable[Joined], width: int) -> Iterator[Rows]:
    for count, joined in _merged(known):
        rows = _even_rows(count, joined, width)
        yield rows if rows is not None else _rows(joined.split(BETWEEN), width)


def _rows(names: Sequence[bytes], width: int) -> Rows:
    return np.fromiter(names, dtype=f"S{width}", count=len(names)).view(np.uint8).reshape(-1, width)


def _even_rows(count: int, joined: bytes, width: int) -> Rows | None:
    """Return the rows of names of one length, as most recorders name them: in bulk. None where they have several."""
    ended = np.frombuffer(joined + BETWEEN, dtype=np.uint8)
    length = len(ended) // count
    if length > width or length * count != len(ended) or ended[length - 1 :: length].any():
        return None
    if length == width:
        return ended.reshape(count, width)
    rows = np.zeros((count, width), dtype=np.uint8)
    rows[:, :length] = ended.reshape(count, length)
    return rows


def _merged(parts: Iterable[Joined]) -> Iterator[Joined]:
    """Put small parts that follow each other together: to begin with one costs as much as hundreds of names."""
    some: list[bytes] = []
    held, length = 0, 0.0
    for count, joined in parts:
        if not count:
            continue
        if held >= BATCH or (held and (len(joined) + 1) / count != length):
            yield held, BETWEEN.join(some)
            some, held = [], 0
        length = (len(joined) + 1) / count
        some.append(joined)
        held += count
    if held:
        yield held, BETWEEN.join(some)


def _hashes(batches: Iterable[Rows], count: int) -> Hashes | None:
    """Return a hash of each row; None when a name may have been cut off, since its row's last byte is used."""
    found = np.empty(count, dtype=np.uint64)
    at = 0
    for rows in batches:
        if rows.shape[1] < WIDTHS[-1] and rows[:, -1].any():
            return None
        hashed = found[at : at + len(rows)]
        hashed[:] = rows.shape[1]
        for column in rows.view(np.uint64).T:
            hashed ^= column
            hashed *= _MIX
            hashed ^= hashed >> np.uint64(32)
        hashed *= _MIX
        at += len(rows)
    return found


def listed(folder: bytes) -> list[bytes]:
    """Return a folder's names, in the file system's own bytes, and without a Path for each of a million files. Raises FileNotFoundError without it."""
    return os.listdir(folder)  # noqa: PTH208
