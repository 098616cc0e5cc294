"""A tree of recorded files read through its catalogue: of what hasn't changed nothing but the folders is looked at.

A folder whose change time is the one of its last reading holds the same names; files change in place only while they
are written. So of a folder that is known only its last files are looked at, and of a changed one the new names and the
last files. What no change time tells (a file overwritten in place, a file system that keeps none) is seen when a folder
wasn't looked at whole for VERIFY_AFTER.
"""

from __future__ import annotations

import os
import re
import struct
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import numpy as np

from agents.recorders.base import Progress
from agents.recorders.catalogue import Catalogue, Place, Shelf
from agents.recorders.listing import Lister, listed
from agents.recorders.path_template import Parts, Template, wall_range
from agents.recorders.path_walk import ALWAYS, ZONE_SLACK, Found, parts_of, walk
from agents.recorders.segments import BEING_WRITTEN, LONGEST_SEGMENT, UNCERTAIN, Segment, SegmentReader
from monitor.model.span import DAY, MINUTE, SECOND, Millis, to_millis

SETTLED: Millis = 10 * MINUTE
"""A folder that changed later than so long before it was read may change again within the same tick of its clock."""

VERIFY_AFTER: Millis = 5 * DAY
"""So old a look at each file of a folder is made again, whatever the folder's change time says."""

KEEP_EVERY = 1000
"""So many files are opened at most before what they hold is kept: a kill costs no more."""

MANY_DAYS = 400
BEING_WRITTEN_MS: Millis = round(BEING_WRITTEN.total_seconds() * SECOND)
_STAMP = struct.Struct("<qqQ")
_UNSEEN = Shelf(b"", -VERIFY_AFTER, (), np.empty((0, 4), dtype=np.int64), ())


class _Stopped(Exception):
    """Nobody waits for the answer any more."""


class Held(NamedTuple):
    """A folder and day, and what it holds."""

    place: Place
    shelf: Shelf


@dataclass(frozen=True)
class _Leaf:
    """A folder that holds files: its path, what the path says of the time, and the days that may lie in it."""

    path: bytes
    parts: Parts
    first_day: int
    last_day: int


class Tree:
    """The files of one template, camera by camera. Used by one thread at a time."""

    def __init__(self, template: Template, reader: SegmentReader, catalogue: Catalogue) -> None:
        """Look at nothing yet."""
        self._template, self._reader, self._catalogue = template, reader, catalogue
        self._root = os.fsencode(template.root).rstrip(b"/") + b"/"
        self._lister = Lister(template, catalogue)
        self._pending: dict[Place, Shelf] = {}
        self._marked: dict[Place, Shelf] = {}
        """Shelves that hold what they held in a folder that changed: their stamp is another, or their tail."""
        self._unkept = 0
        self._stop = threading.Event()
        self.opened = 0
        """How many files were looked into, since the start."""

    def read(
        self, camera: str, window: tuple[datetime, datetime], report: Progress, stop: threading.Event
    ) -> list[Held]:
        """Return what a camera's folders hold that may touch the window (aware). Raises OSError and RecorderError.

        `report` is told the share that is done. Ends early, with nothing, when `stop` is set: what was looked at is kept.
        """
        self._stop = stop
        try:
            return self._read(camera, window, report)
        except _Stopped:
            return []

    def _read(self, camera: str, window: tuple[datetime, datetime], report: Progress) -> list[Held]:
        reach = window[0] - LONGEST_SEGMENT, window[1]
        days = self._days(*reach)
        known = self._catalogue.shelves(camera, *days)
        leaves = list(self._leaves(camera, reach, days))
        found: list[Held] = []
        seen: set[Place] = set()
        with self._keeping(camera):
            for done, leaf in enumerate(leaves, start=1):
                folder = self._folder(leaf)
                places = [Place(folder, day) for day in self._days_of(camera, leaf)]
                seen.update(places)
                found += self._filled(camera, leaf, places, known)
                report(done / len(leaves))
        gone = [place for place in known if place not in seen]
        if gone:
            self._catalogue.put(camera, {}, gone=gone)
        return found

    def oldest(self, camera: str) -> Millis | None:
        """Return the start of a camera's oldest file that plays; None without any. Raises as `read` does."""
        self._stop = threading.Event()
        oldest: Millis | None = None
        oldest_day = ALWAYS[1].toordinal()
        leaves = self._leaves(camera, ALWAYS, (ALWAYS[0].toordinal(), oldest_day))
        with self._keeping(camera):
            for leaf in sorted(leaves, key=lambda one: (one.first_day, one.path)):
                if leaf.first_day > oldest_day + 1:
                    break
                for day in self._days_named(camera, leaf):
                    if day > oldest_day + 1:
                        break
                    place = Place(self._folder(leaf), day)
                    for held in self._filled(camera, leaf, [place], self._catalogue.shelves(camera, day, day)):
                        segments = held.shelf.segments
                        plays = segments[:, 1] > segments[:, 0]
                        if plays.any():
                            start = int(segments[plays, 0].min())
                            oldest, oldest_day = min(start, start if oldest is None else oldest), min(day, oldest_day)
        return oldest

    def cameras(self, window: tuple[datetime, datetime]) -> set[str]:
        """Return the cameras with files filed under the days of the window, where files are named by their cameras.

        Raises OSError.
        """
        days = self._days(*window)
        found: set[str] = set()
        for leaf in self._leaves(None, window, days):
            folder = self._folder(leaf)
            try:
                listing = self._lister.peek(leaf.path, folder, _stamp(leaf.path), to_millis(self._reader.clock.now()))
            except FileNotFoundError:
                continue  # removed between listing its parent and itself
            found |= self._catalogue.cameras(folder, leaf.first_day, leaf.last_day)
            for camera in listing.new.keys() - found:
                fits = self._template.components[-1].regex(camera)
                recorded = (self._day(fits, name, leaf) for name in listing.new[camera])
                if any(day is not None and leaf.first_day <= day <= leaf.last_day for day in recorded):
                    found.add(camera)
        return found

    def path_of(self, camera: str, held: Held, row: int) -> str | None:
        """Return the path of a file by its row in the shelf; None when it isn't known any more."""
        names = self._named(camera, *held).names or ()
        return os.fsdecode(_join(self._root + held.place.folder, names[row])) if row < len(names) else None

    # --- where to look -----------------------------------------------------------------------------------------------

    def _days(self, first: datetime, last: datetime) -> tuple[int, int]:
        """Return the first and the last day under which files that begin in the window may be filed."""
        zone = UTC if any("s" in one.letters for one in self._template.components) else self._reader.zone
        return (first.astimezone(zone) - ZONE_SLACK).toordinal(), (last.astimezone(zone) + ZONE_SLACK).toordinal()

    def _leaves(self, camera: str | None, window: tuple[datetime, datetime], days: tuple[int, int]) -> Iterator[_Leaf]:
        above = len(self._template.components) - 2
        root = Found(str(self._template.root), {}, None)
        folders = iter([root]) if above < 0 else walk(self._template, self._reader.zone, camera, window, above)
        for folder in folders:
            spread = wall_range(folder.parts)
            if spread is None:
                continue
            first = max(days[0], spread[0].toordinal())
            last = min(days[1], (spread[1] - timedelta(microseconds=1)).toordinal())
            if first <= last:
                yield _Leaf(os.fsencode(folder.path), folder.parts, first, last)

    def _folder(self, leaf: _Leaf) -> bytes:
        """Return the folder's name in the catalogue."""
        return (leaf.path + b"/").removeprefix(self._root).removesuffix(b"/")

    def _days_of(self, camera: str, leaf: _Leaf) -> Sequence[int]:
        """Return the days to read of a folder; of one that may hold years those that its names speak of."""
        if leaf.last_day - leaf.first_day > MANY_DAYS:
            return self._days_named(camera, leaf)
        return range(leaf.first_day, leaf.last_day + 1)

    def _days_named(self, camera: str, leaf: _Leaf) -> list[int]:
        fits = self._template.components[-1].regex(camera)
        days = {self._day(fits, name, leaf) for name in listed(leaf.path)}
        return sorted(day for day in days if day is not None and leaf.first_day <= day <= leaf.last_day)

    def _day(self, fits: re.Pattern[str], name: bytes, leaf: _Leaf) -> int | None:
        parts = parts_of(fits, os.fsdecode(name), leaf.parts)
        day = self._reader.day(parts) if parts is not None else None
        return day.toordinal() if day is not None else None

    # --- one folder --------------------------------------------------------------------------------------------------

    def _filled(self, camera: str, leaf: _Leaf, places: Sequence[Place], known: Mapping[Place, Shelf]) -> list[Held]:
        """Return what the folder holds of some of its days; what is new of it is kept soon."""
        now = to_millis(self._reader.clock.now())
        try:
            stamp = _stamp(leaf.path)
            stale = {one: known.get(one) for one in places if not _is_current(leaf, known.get(one), stamp, now)}
            fresh = self._refreshed(camera, leaf, stale, stamp, now) if stale else {}
        except FileNotFoundError:
            return []  # removed between listing its parent and itself
        shelves = ((place, fresh.get(place) or known[place]) for place in places)
        return [Held(place, shelf) for place, shelf in shelves if len(shelf.segments)]

    def _refreshed(
        self, camera: str, leaf: _Leaf, stale: Mapping[Place, Shelf | None], stamp: bytes, now: Millis
    ) -> dict[Place, Shelf]:
        """List a folder and look at what is new in it, of the days that are stale. Raises FileNotFoundError without it."""
        fits = self._template.components[-1].regex(camera)
        listing = self._lister.of(camera, leaf.path, next(iter(stale)).folder, stamp, now)
        new: dict[int | None, list[bytes]] = {}
        for name in listing.new.get(camera, ()):
            new.setdefault(self._day(fits, name, leaf), []).append(name)
        settled = listing.stamp if _changed(listing.stamp) <= listing.at - SETTLED else b""
        held = (place.day for place, shelf in stale.items() if place.day in new or (shelf and len(shelf.segments)))
        last_day = max(held, default=0)
        fresh: dict[Place, Shelf] = {}
        for place, shelf in stale.items():
            added = new.get(place.day, ())
            lost = listing.lost_of(camera, place.day) if listing.lost else ()
            if shelf is None or added or lost or _is_due(shelf, now) or not _ends_alike(leaf, shelf):
                before = self._named(camera, place, shelf)
                names = dict.fromkeys((*(name for name in before.names or () if name not in lost), *added))
                seen = self._looked_at(leaf, fits, names, before, settled, now)
                fresh[place] = self._pending[place] = seen if place.day == last_day else _closed(seen, now)
                self._keep(camera, KEEP_EVERY)
                continue
            fresh[place] = shelf if place.day == last_day else _closed(shelf, now)
            if settled != shelf.stamp or fresh[place] is not shelf:
                fresh[place] = self._marked[place] = replace(fresh[place], stamp=settled)
        return fresh

    def _looked_at(
        self, leaf: _Leaf, fits: re.Pattern[str], names: Iterable[bytes], before: Shelf, stamp: bytes, now: Millis
    ) -> Shelf:
        """Return a shelf of these files; those that are known are looked at only when it is time, or at the tail."""
        known = {name: Segment(*row) for name, row in zip(before.names or (), before.segments.tolist(), strict=True)}
        due = _is_due(before, now)
        rows: list[tuple[Segment, bytes]] = []
        for name in names:
            row = known.get(name)
            seen = self._look(leaf, fits, name, row) if row is None or due or name in before.tail else row
            if seen is not None:
                rows.append((seen, name))
        return _shelf(rows, stamp, now if due else before.verified_at, now)

    def _named(self, camera: str, place: Place, shelf: Shelf | None) -> Shelf:
        """Return the shelf with its names; one that was never looked at where it isn't known, or contradicts itself."""
        if shelf is not None and shelf.names is None:
            shelf = replace(shelf, names=self._catalogue.names(camera, place))
        return shelf if shelf is not None and len(shelf.names or ()) == len(shelf.segments) else _UNSEEN

    def _look(self, leaf: _Leaf, fits: re.Pattern[str], name: bytes, known: Segment | None) -> Segment | None:
        text = os.fsdecode(name)
        if self._stop.is_set():
            raise _Stopped
        parts = parts_of(fits, text, leaf.parts)
        if parts is None:
            return None
        seen = self._reader.look(os.fsdecode(_join(leaf.path, name)), parts, known)
        if seen is not known:
            self.opened += 1
            self._unkept += 1
        return seen

    # --- keeping -----------------------------------------------------------------------------------------------------

    @contextmanager
    def _keeping(self, camera: str) -> Iterator[None]:
        """Keep what was looked at in the end, also where one file can't be read: the next try goes on from there."""
        try:
            yield
        finally:
            self._keep(camera, 0)

    def _keep(self, camera: str, least: int) -> None:
        if (self._pending or self._marked) and self._unkept >= least:
            self._catalogue.put(camera, self._pending, marked=self._marked)
            self._pending, self._marked, self._unkept = {}, {}, 0


# In the file system's own bytes, and without a Path for each of a million files.


def _join(folder: bytes, name: bytes) -> bytes:
    return b"%b/%b" % (folder.rstrip(b"/"), name)


def _stamp(folder: bytes) -> bytes:
    """Return what tells a change of a folder's names."""
    status = os.stat(folder)  # noqa: PTH116
    return _STAMP.pack(status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


def _changed(stamp: bytes) -> Millis:
    return int(_STAMP.unpack(stamp)[0]) // 1_000_000


def _is_due(shelf: Shelf, now: Millis) -> bool:
    return not 0 <= now - shelf.verified_at < VERIFY_AFTER


def _is_current(leaf: _Leaf, shelf: Shelf | None, stamp: bytes, now: Millis) -> bool:
    """Tell whether a folder needn't be listed: it didn't change, nor did its last files."""
    return shelf is not None and shelf.stamp == stamp and not _is_due(shelf, now) and _ends_alike(leaf, shelf)


def _ends_alike(leaf: _Leaf, shelf: Shelf) -> bool:
    """Tell whether the last files are as they were."""
    if not shelf.tail:
        return True
    rows = shelf.segments[-len(shelf.tail) :, 2:].tolist()
    return all(_size_and_change(leaf.path, name) == row for name, row in zip(shelf.tail, rows, strict=True))


def _size_and_change(folder: bytes, name: bytes) -> list[int] | None:
    try:
        status = os.stat(_join(folder, name))  # noqa: PTH116
    except FileNotFoundError:
        return None
    return [status.st_size, status.st_mtime_ns]


def _may_change(changed: int, now: Millis) -> bool:
    return changed == UNCERTAIN or changed > (now - BEING_WRITTEN_MS) * 1_000_000


def _closed(shelf: Shelf, now: Millis) -> Shelf:
    """Return a shelf of which no file is the last of its folder: without its tail, where nothing of that may still change."""
    if not shelf.tail or any(_may_change(changed, now) for changed in shelf.segments[-len(shelf.tail) :, 3].tolist()):
        return shelf
    return replace(shelf, tail=())


def _shelf(rows: list[tuple[Segment, bytes]], stamp: bytes, verified_at: Millis, now: Millis) -> Shelf:
    """Return a shelf of these files, its tail from the first file on that may still change."""
    rows.sort()
    still = [_may_change(row.changed, now) for row, _ in rows]
    tail = len(rows) - min(still.index(True) if True in still else len(rows), max(0, len(rows) - 1))
    names = tuple(name for _, name in rows)
    segments = np.array([row for row, _ in rows], dtype=np.int64).reshape(-1, 4)
    return Shelf(stamp, verified_at, names[len(names) - tail :], segments, names)
