"""What one recorded file holds: from when, by its path, and until when, by its container."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Literal, NamedTuple

from agents.recorders.base import RecorderError
from agents.recorders.container import duration_seconds
from agents.recorders.demuxer import BrokenError, Demuxer, Unfinished
from agents.recorders.path_template import Parts, epoch, wall_range
from monitor.model.clock import Clock
from monitor.model.observation import StreamCause
from monitor.model.span import Millis, to_millis

LONGEST_SEGMENT = timedelta(days=1)
"""A file that claims more proves nothing; one that began longer ago than this isn't thought to reach into a window."""

BEING_WRITTEN = timedelta(minutes=5)
"""A file without an index that changed so lately is still being written; an older one was cut off and won't play."""

BELIEVABLE = timedelta(minutes=30)
"""How near a file's own change time must lie to its end to tell the two passes of a repeated hour apart."""

UNCERTAIN = -1
"""In place of a change time: what was said of the file holds for this moment alone."""

Starts = Literal["path", "written"]


class Segment(NamedTuple):
    """A file: UTC milliseconds (start = end: nothing in it plays), its bytes, and its change time in ns or UNCERTAIN."""

    start: Millis
    end: Millis
    bytes: int
    changed: int


@dataclass(frozen=True)
class SegmentReader:
    """Reads files whose times are told by their paths, in `zone`."""

    zone: tzinfo
    clock: Clock
    starts: Starts = "path"
    """Whether the path tells when a file begins, or its day alone: then its last change is when it ends."""
    demuxer: Demuxer = field(default_factory=Demuxer)
    """What reads what isn't an mp4, in a process of its own."""

    def day(self, parts: Parts) -> date | None:
        """Return the day that a path is filed under: by its own wall time, by UTC where it counts seconds."""
        stated = epoch(parts)
        if stated is not None:
            return stated.date()
        spread = wall_range(parts)
        return spread[0].date() if spread is not None else None

    def look(self, path: str, parts: Parts, known: Segment | None = None) -> Segment | None:
        """Return what the file holds; `known` again where it hasn't changed. None for none (any more).

        Raises OSError for a file that can't be read, and RecorderError for one whose times contradict each other, or of
        which nothing can be known.
        """
        try:
            status = Path(path).stat()
            if not stat.S_ISREG(status.st_mode):
                return None
            if known is not None and (known.bytes, known.changed) == (status.st_size, status.st_mtime_ns):
                return known
            return self._examined(path, parts, status)
        except FileNotFoundError:
            return None  # the recorder overwrites its oldest files all the time

    def _examined(self, path: str, parts: Parts, status: os.stat_result) -> Segment | None:
        readings = self._readings(parts)
        if not readings:
            return None
        changed = datetime.fromtimestamp(status.st_mtime, UTC)
        nothing = Segment(to_millis(readings[0]), to_millis(readings[0]), status.st_size, status.st_mtime_ns)
        try:
            length = timedelta(seconds=duration_seconds(Path(path), self.demuxer))
        except Unfinished:
            return self._unfinished(readings, changed, nothing)
        except BrokenError as error:
            detail = (
                f"{path} can't be read: {error}. Look whether its disk is slow or failing; where that is sound, the file is "
                "damaged: move it away, so that the others count."
            )
            raise RecorderError(StreamCause.RECORDER, detail) from error
        except OverflowError:
            return nothing
        if length > LONGEST_SEGMENT:
            return nothing  # a damaged or senseless length
        begin = self._begin(path, parts, readings, changed, length)
        return nothing._replace(start=to_millis(begin), end=to_millis(begin + length))

    def _readings(self, parts: Parts) -> tuple[datetime, ...]:
        """Return the instants at which the file may begin, the likely one first: two in a repeated hour, else one."""
        stated = epoch(parts)
        if stated is not None:
            return (stated,)
        spread = wall_range(parts)
        if spread is None:
            return ()
        first, second = (spread[0].replace(tzinfo=self.zone, fold=fold).astimezone(UTC) for fold in (0, 1))
        return (first, second) if first < second else (first,)

    def _begin(
        self, path: str, parts: Parts, readings: tuple[datetime, ...], changed: datetime, length: timedelta
    ) -> datetime:
        if self.starts == "written":
            return self._written_from(path, parts, changed - length)
        if len(readings) > 1:
            distance, nearest = min((abs(changed - (reading + length)), reading) for reading in readings)
            return nearest if distance <= BELIEVABLE else readings[0]
        return readings[0]

    def _written_from(self, path: str, parts: Parts, begin: datetime) -> datetime:
        """Return the instant, where the path's own day agrees with it: a copied file has another change time."""
        spread, wall = wall_range(parts), begin.astimezone(self.zone).replace(tzinfo=None)
        if spread is None or not spread[0] - BEING_WRITTEN <= wall < spread[1] + BEING_WRITTEN:
            detail = (
                f"{path} was changed on another day than its path says (copied?), so when it was recorded is not known: "
                "keep change times when moving recordings, or let the recorder name them by %H%M%S."
            )
            raise RecorderError(StreamCause.RECORDER, detail)
        return begin

    def _unfinished(self, readings: tuple[datetime, ...], changed: datetime, nothing: Segment) -> Segment:
        """A file that is being written reaches up to its last change; one that was cut off holds nothing that plays."""
        if abs(self.clock.now() - changed) > BEING_WRITTEN:
            return nothing
        begin = max((reading for reading in readings if reading <= changed), default=None)
        if nothing.bytes == 0 or begin is None or changed - begin > LONGEST_SEGMENT or self.starts == "written":
            return nothing._replace(changed=UNCERTAIN)
        return Segment(to_millis(begin), to_millis(changed), nothing.bytes, UNCERTAIN)
