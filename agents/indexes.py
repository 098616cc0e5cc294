"""What the journal's readings of the recorders' indexes come to: of what is kept in memory only new ones are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from agents.journal import Journal
from monitor.model.kept import KeptIndexes, Name
from monitor.model.observation import Observation
from monitor.model.recordings import TAIL, Index, window_read
from monitor.model.span import Millis, Spans

MOST_BYTES = 160 * 1024 * 1024
"""So much is kept: 64 cameras with ninety days of segments of a minute that don't touch need 148 MB."""


@dataclass(frozen=True)
class _Read:
    """One reading that an index was made of."""

    name: Name
    window: Spans
    """What it speaks of; nothing where it says nothing."""


class JournalIndexes:
    """The indexes of a journal's cameras: the same as from all their readings, whatever came and went meanwhile.

    A journal forgets the readings whose whole window was read again. What was made of such a reading goes on only where
    those that are left surely speak of all that it told; in every other case all readings of that camera are read.
    """

    def __init__(self, journal: Journal, most_bytes: int = MOST_BYTES) -> None:
        """Keep nothing yet, and never more than `most_bytes`."""
        self._journal = journal
        self._kept = KeptIndexes(most_bytes)
        self._made_of: dict[str, list[_Read]] = {}
        self.unreadable = 0
        """Readings that had to be left out the last time."""

    @property
    def weight(self) -> int:
        """Bytes kept, about."""
        return self._kept.weight

    def as_of(self, instant: Millis) -> dict[str, Index]:
        """Return, by camera, what its readings up to `instant` (UTC ms) come to. Raises DatabaseError."""
        self.unreadable = 0
        named = self._journal.index_names(instant)
        found = (
            (camera, self._going_on(camera, names) or self._anew(camera, names)) for camera, names in named.items()
        )
        return {camera: index for camera, index in found if index is not None}

    def _going_on(self, camera: str, names: list[Name]) -> Index | None:
        """Return what is kept with what is new; None where it can't be told to be the same as all readings anew."""
        made = self._made_of.get(camera, [])
        index, _ = self._kept.known(("", camera), [item.name for item in made]) if made else (None, ())
        if index is None:
            return None
        there, last = set(names), made[-1].name
        left, new = [item for item in made if item.name in there], [name for name in names if name[0] > last[0]]
        if len(left) == len(made) == len(names):
            return index
        if len(left) + len(new) < len(names) or not (new or last in there):
            return None  # one came late, or the last word went
        items = self._journal.readings(camera, new)
        if len(items) < len(new):
            return None
        later = Index.of(items) if items else None
        reads = [*left, *_reads(new, items, later)]
        if not all(_is_told_again(item, reads) for item in made if item.name not in there):
            return None
        return self._keep(camera, names, reads, index if later is None else index.then(later))

    def _anew(self, camera: str, names: list[Name]) -> Index | None:
        """Read all; what can't be read is left out, and then nothing is kept: it may be there the next time."""
        items = self._journal.readings(camera, names)
        self.unreadable += len(names) - len(items)
        if not items:
            return None
        index = Index.of(items)
        return index if len(items) < len(names) else self._keep(camera, names, _reads(names, items, index), index)

    def _keep(self, camera: str, names: Sequence[Name], reads: list[_Read], index: Index) -> Index:
        at, digest = names[0]
        index = replace(index, since=(at, at, digest), begun=at)  # of the readings that are there now
        self._kept.keep(("", camera), names, index)
        self._made_of[camera] = reads
        return index


def _reads(names: Sequence[Name], items: Sequence[Observation], together: Index | None) -> list[_Read]:
    if len(items) == 1 and together is not None:  # its window is all that was read: the usual round reads one
        return [_Read(names[0], together.scanned)]
    return [_Read(name, window_read(item)) for name, item in zip(names, items, strict=True)]


def _is_told_again(gone: _Read, reads: Sequence[_Read]) -> bool:
    """Tell whether newer readings speak of all that one told: its window, and the footage that follows it at once."""
    if not gone.window:
        return True
    (low, high), *_ = gone.window.tuples()
    newer = Spans.empty().union(*(item.window for item in reads if item.name > gone.name))
    return not newer.gaps(low, high + TAIL)
