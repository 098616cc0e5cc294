"""What was seen and is not on the disk yet: kept in memory within bounds, apart for the journal and for the collector."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from threading import Lock

from monitor.model.observation import SPAN_KINDS, Observation

MOST = 20_000
"""So many observations are held for each; beyond it spans that touch become one, then the oldest go and are counted."""


class Queue:
    """Observations for one place, in order. One thread may store them while others hold more."""

    def __init__(self, most: int = MOST) -> None:
        """Hold at most `most`."""
        self._items: list[Observation] = []
        self._out: list[Observation] = []
        """What is being stored now: earlier than all others."""
        self._lock = Lock()
        self._most = most
        self.lost = 0
        """How many had to go."""

    def __len__(self) -> int:
        """Return how many are held."""
        return len(self._out) + len(self._items)

    def append(self, item: Observation) -> None:
        """Hold one more."""
        with self._lock:
            self._items.append(item)
            self._bound()

    def items(self) -> list[Observation]:
        """Return what is held."""
        with self._lock:
            return [*self._out, *self._items]

    @contextmanager
    def storing(self) -> Iterator[list[Observation]]:
        """Yield what is held: it is stored when this ends well, and held on when it raises. One at a time."""
        with self._lock:
            self._out, self._items = self._items, []
        try:
            yield self._out
        except BaseException:
            with self._lock:
                self._items = [*self._out, *self._items]
                self._out = []
                self._bound()
            raise
        with self._lock:
            self._out = []

    def _bound(self) -> None:
        if len(self._items) > self._most:
            self._items = melted(self._items)
            # A fifth at once: what has to be done at the bound is not done at each observation.
            over = max(0, len(self._items) - self._most * 4 // 5)
            self.lost += over
            del self._items[:over]


class Held:
    """What was seen, for the journal and for the reports: one may be stored while the other can't."""

    def __init__(self, most: int = MOST) -> None:
        """Hold at most `most` for each."""
        self.journal = Queue(most)
        self.reports = Queue(most)

    def append(self, item: Observation) -> None:
        """Hold what was seen."""
        self.journal.append(item)
        self.reports.append(item)


def melted(items: Iterable[Observation]) -> list[Observation]:
    """Return observations with those spans joined that say the same and touch or overlap; order is kept."""
    found: list[Observation] = []
    last: dict[tuple[object, ...], int] = {}
    for item in items:
        key = (item.subject, item.kind, item.state, item.cause, item.basis, item.source)
        place = last.get(key)
        before = None if place is None else found[place]
        if (
            item.kind in SPAN_KINDS
            and place is not None
            and before is not None
            and before.start <= item.start <= before.end
        ):
            newer, older = (item, before) if item.end >= before.end else (before, item)
            edges = {"start": before.start, "expires": max(newer.expires, older.expires)}
            found[place] = newer.model_copy(update=edges)
        else:
            last[key] = len(found)
            found.append(item)
    return found
