"""The few sessions that a recorder serves: who holds one, who was turned away, and how people on site fared."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, field


class WhenFull(enum.StrEnum):
    """What a recorder does with one session too many."""

    NOT_ENOUGH_BANDWIDTH = "453"
    INTERNAL_ERROR = "500"
    SERVICE_UNAVAILABLE = "503"
    SILENCE = "silence"  # no answer at all
    KICK_OLDEST = "kick_oldest"  # the newcomer is served, whoever came first is thrown out


@dataclass(eq=False)
class Seat:
    """One served session. `kicked` is called when the recorder takes it away."""

    kicked: Callable[[], None]
    person: bool = False


@dataclass
class Seats:
    """A recorder's session limit. `limit` None means as many as come."""

    limit: int | None = None
    when_full: WhenFull = WhenFull.NOT_ENOUGH_BANDWIDTH
    peak_sessions: int = 0
    refused_sessions: int = 0
    people_refused: int = 0
    people_kicked: int = 0
    _taken: list[Seat] = field(default_factory=list)

    @property
    def sessions(self) -> int:
        """Return how many sessions are served now, people's included."""
        return len(self._taken)

    @property
    def people(self) -> int:
        """Return how many sessions people on site hold now."""
        return sum(seat.person for seat in self._taken)

    def take(self, seat: Seat) -> bool:
        """Serve one more session, or count and refuse it (False)."""
        if self.limit is not None and len(self._taken) >= self.limit and not self._make_room():
            self.refused_sessions += 1
            self.people_refused += seat.person
            return False
        self._taken.append(seat)
        self.peak_sessions = max(self.peak_sessions, len(self._taken))
        return True

    def leave(self, seat: Seat) -> None:
        """End a session; one that has already ended is no error."""
        if seat in self._taken:
            self._taken.remove(seat)

    def people_come(self, count: int) -> int:
        """Let `count` people on site open live view; return how many were served."""
        return sum(self.take(Seat(kicked=lambda: None, person=True)) for _ in range(count))

    def people_go(self, count: int) -> int:
        """Let `count` people on site close live view; return how many had it open."""
        leaving = [seat for seat in self._taken if seat.person][:count]
        for seat in leaving:
            self.leave(seat)
        return len(leaving)

    def _make_room(self) -> bool:
        if self.when_full is not WhenFull.KICK_OLDEST or not self._taken:
            return False
        oldest = self._taken.pop(0)
        self.people_kicked += oldest.person
        oldest.kicked()
        return True

    def stats(self) -> dict[str, int]:
        """Return the counters."""
        return {
            "sessions": self.sessions,
            "peak_sessions": self.peak_sessions,
            "refused_sessions": self.refused_sessions,
            "people": self.people,
            "people_refused": self.people_refused,
            "people_kicked": self.people_kicked,
        }
