"""A recorder's sessions: how many the agent may hold, learnt from refusals without starving people on site."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from agents.watch.refusals import Refusals

FULL_RETRIES = 4
"""How often a camera that is looked at once is tried again after its recorder said that it is full."""
KEPT_FREE = 2
"""Sessions that people on site need."""
TRIAL = KEPT_FREE + 1
"""So many sessions more than our share must be served at one moment before the share grows by one."""
TRY_AGAIN_SECONDS = 24 * 3600.0
"""After a refusal."""
TRY_ON_SECONDS = 600.0
"""After a trial that went well."""


def share_of(max_streams: int) -> int:
    """Return how many of a recorder's sessions are the agent's: at least one, and two are kept free for people."""
    return max(1, max_streams - KEPT_FREE)


class Seat:
    """One session that the agent may hold, from its turn to its end."""

    def __init__(self, budget: Budget, who: str) -> None:
        """Begin to open a session for `who`: whether the recorder serves it isn't known yet."""
        self._budget = budget
        self._who = who
        self.is_opening = True
        self.is_playing = False
        self.is_leaving = False

    def playing(self) -> None:
        """The recorder serves the session."""
        if not self.is_playing:
            self.is_opening, self.is_playing = False, True
            self._budget.served(self._who)

    def refused(self) -> None:
        """The recorder is full."""
        if self.is_opening:
            self.is_opening = False
            self._budget.refused(self._who)

    def aside(self) -> None:
        """The session is for something else than watching: nobody waits to see whether it is served."""
        if self.is_opening:
            self.is_opening = False
            self._budget.settled()

    def leaving(self) -> None:
        """The session is about to be given to somebody else: one that leaves is enough for one that waits."""
        self.is_leaving = True


@dataclass(frozen=True)
class _Lesson:
    """What the last refusals taught, as long as it may have to be taken back."""

    by: frozenset[str]
    limit: int | None
    """The share before it."""
    learnt: int | None


class Budget:
    """The agent's share of one recorder's sessions; None as limit: not known yet, nothing was refused so far.

    After a refusal nobody begins to open a session before all who were at it know whether they are served: then it is
    known how many the recorder serves, however the answers were ordered. A share that is known is lowered by two refusals in
    a row, and what was learnt from cameras that are refused for their own sake is taken back.
    """

    def __init__(self, max_streams: int | None, *, may_rise: bool = False) -> None:
        """Take what the recorder serves in all, as given or learnt earlier; what was learnt may be learnt anew."""
        self._may_rise = may_rise
        self._trial = False
        self._next_trial: float | None = None
        """Monotonic; None until the first time somebody asks for a trial after a refusal."""
        self.limit = None if max_streams is None else share_of(max_streams)
        self.learnt = max_streams if may_rise else None
        """How many sessions the recorder was seen to serve us, once it refused one; None when nothing was learnt."""
        self._seats: list[Seat] = []
        self._granted = 0
        """Turns that were given and not yet taken."""
        self._refusals = Refusals()
        self._lesson: _Lesson | None = None
        self._most_playing = 0
        self._guessed = False
        """Nothing was served when the limit was set: it says little of the recorder."""
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def held(self) -> int:
        """How many sessions the agent holds or opens now."""
        return len(self._seats) + self._granted

    @property
    def waiting(self) -> int:
        """How many cameras wait for a session: where there are any, the others take turns."""
        return len(self._waiting)

    @property
    def over(self) -> bool:
        """Tell whether more sessions are held than the limit allows, since it was lowered, leaving ones aside."""
        return self._most is not None and self.held - self._leaving > self._most

    @property
    def crowded(self) -> bool:
        """Tell whether more cameras wait than sessions are being left."""
        return bool(self._waiting) and self.waiting > self._leaving

    def turn(self, gap: float) -> float:
        """Return how many seconds a visit may last, its opening included, for each camera to be visited once in `gap` seconds."""
        cameras = self.held + self.waiting
        return gap if self.limit is None or not cameras else gap * self.limit / cameras

    @asynccontextmanager
    async def session(self, who: str) -> AsyncIterator[Seat]:
        """Wait for a turn, first come first served, and hold one session; `who` is the camera that it is for."""
        if self._waiting or not self._free():
            await self._queue()
        seat = Seat(self, who)
        self._seats.append(seat)
        try:
            yield seat
        finally:
            seat.is_opening = False
            self._seats.remove(seat)
            self.settled()

    def try_more(self, now: float) -> None:
        """Find out, at the monotonic second `now`, whether the share may be larger: it was learnt on a busy day, perhaps.

        So many of those who wait are let in at once that two sessions would stay free beside one more of ours. When all
        are served, the share grows by one and the others leave at once; it is tried again soon. A refusal leaves the
        share as it is for another day. To be called every few minutes.
        """
        self._trial = False  # one that nobody has decided since: somebody failed for a reason of its own
        if not self._may_rise or self.limit is None or self._guessed or self._refusals.pending:
            return
        if self._next_trial is None:
            self._next_trial = now + TRY_AGAIN_SECONDS
        elif now >= self._next_trial and self.waiting >= TRIAL and not self.over:
            self._next_trial = now + TRY_ON_SECONDS
            self._trial = True
            self._wake()

    def refused(self, who: str) -> None:
        """The recorder refused a session: learn from it as soon as it is known what it serves."""
        self._refusals.refused(who)
        self.settled()

    def served(self, who: str) -> None:
        """The recorder serves a session: where it refused others in its place, it wasn't full."""
        self._refusals.served(who, self._playing)
        lesson = self._lesson
        if lesson is not None and who in lesson.by:
            self._lesson = None
        elif lesson is not None and lesson.by <= self._refusals.own:
            self.limit, self.learnt, self._lesson = lesson.limit, lesson.learnt, None
        self.settled()

    def settled(self) -> None:
        """Count what is served, learn from a refusal when all know whether they are served, and let the next ones in."""
        playing = self._playing
        self._most_playing = max(self._most_playing, playing)
        if self._guessed and playing:
            self.limit, self._guessed = None, False
        known = not self._granted and not any(seat.is_opening for seat in self._seats)
        if self._refusals.pending and known:
            self._learn(playing)
        elif self._trial and self.limit is not None and playing >= self.limit + TRIAL:
            self._trial = False
            self.limit += 1
            self.learnt = self.limit + KEPT_FREE
        elif known and not self._waiting:
            self._trial = False  # somebody failed for a reason of its own, and nobody is left to try in its place
        self._wake()

    def _learn(self, playing: int) -> None:
        """Make what the recorder served us at most, less two for people, our share from now on."""
        who, again = self._refusals.take(playing)
        tried, self._trial = self._trial, False
        if not tried and not again and self.limit is not None:
            return  # one alone, and within our share
        served, self._most_playing = self._most_playing, playing
        self._next_trial = None
        if tried:
            return  # somebody on site has them now: what is ours already was served
        limit = share_of(served)
        if self.limit is None or limit < self.limit:
            if self._lesson is None or not who <= self._lesson.by:
                self._lesson = _Lesson(who, self.limit, self.learnt)
            self._guessed = served == 0 and self.limit is None
            self.limit = limit
            self.learnt = served or self.learnt

    @property
    def _playing(self) -> int:
        return sum(seat.is_playing for seat in self._seats)

    @property
    def _leaving(self) -> int:
        return sum(seat.is_leaving for seat in self._seats)

    @property
    def _most(self) -> int | None:
        """How many may be held now: the share, or more for the moment of a trial."""
        return self.limit if self.limit is None or not self._trial else self.limit + TRIAL

    def _free(self) -> bool:
        return not self._refusals.pending and (self._most is None or self.held < self._most)

    async def _queue(self) -> None:
        """Wait until `_wake` grants a turn, which counts as held at once: nobody slips in between."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn in self._waiting:
                self._waiting.remove(turn)
            elif turn.done() and not turn.cancelled():
                self._granted -= 1
                self.settled()
            raise
        self._granted -= 1

    def _wake(self) -> None:
        while self._waiting and self._free():
            turn = self._waiting.popleft()
            if not turn.done():
                self._granted += 1
                turn.set_result(None)
