"""Is what is shown now what was shown so long ago, encoded anew: its noise is held against that of earlier looks, exact to the frame."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import NamedTuple

from agents.vision.imprint import Imprint, alike

KEPT_SECONDS = 1800.0
MOST_KEPT = 240
"""So long, and so many, looks are kept, a kilobyte each: what is shown again after a longer time is told by its rhythm alone."""

APART_SECONDS = 8.0
"""Between two looks that are held against what is shown now: neighbours tell the same."""

AGAIN_SECONDS = 20.0
"""And once it has been shown."""

USUAL_LOOKS = 4
"""What is usual is the mean of so many looks: the latest ones, and those before the one that may be shown again. None is in both: it would make them alike."""

LIVE = 0.12
MOST_TOLD = 0.5
"""What counts is by how much the correlation of noise, of the best frame, exceeds what one live picture in a hundred has, or falls short of it; it counts
up to this. Of 19,134 live pictures one in a thousand had 0.15, the most 0.4. Recordings encoded anew have 0.5 to 0.9 with the same bit rate, 0.3 to 0.6 with half of it."""

PROVEN = 0.33
CHANCE_FILMS = 2
CHANCE_ALIKE = 0.6
"""The least sum that shows a recording; where its rhythm alone may be chance, of so many films at least, or with so high a correlation: by how few live pictures have 0.3 and
0.4, one in some hundred thousand has that of the first, and a district has thousands of cameras. None of 4,890 times that were followed by chance, three films each, reached the sum."""

REFUTED = -0.15
"""The sum that shows that it is none, though a rhythm comes again: a film on a screen, lights by a programme."""

ENDED = 2
"""So many correlations in a row that are live ones end what was shown."""

SHOWN_SECONDS = 60.0
"""So long after it was shown last it is taken to go on."""

PATIENCE_SECONDS = 75.0
"""So long a rhythm that comes again is no loop yet, where pictures may still show it: those without noise tell nothing."""

TOLD_SECONDS = 900.0
"""So long after pictures told of a time whose rhythm comes again, and didn't show it, none is a loop by its rhythm alone: the room has one. Half as
long what they refuted isn't held against them again."""

AT_ONCE = 3
"""So many times are followed at the same time: a short recording that is played over and over is like several."""

AHEAD_SECONDS = 60.0
"""So far ahead frames are asked for: while there was a hole in the looks of that time, others may tell sooner."""

CHANCES = 6
CHANCE_SECONDS = 600.0
"""So many times that are less likely are followed in a row, and one more after each such time: it costs to decode frames."""


class Window(NamedTuple):
    """The frames that are wanted: seconds."""

    begin: float
    end: float


@dataclass
class _Followed:
    """A time that may be shown again now."""

    ago: float
    within: float
    surely: bool
    """By its rhythm."""
    since: float
    """When it began to be followed, or was shown last."""
    asked: float
    """When the earlier look was that was asked for last."""
    told: float = 0.0
    """The sum of what pictures have told."""
    told_at: float | None = None
    films: int = 0
    live: int = 0
    """So many in a row were live ones."""
    shown: bool = False
    """It was shown to be so."""
    refuted_at: float | None = None
    """Since when it is known not to be so, or not to be so any more."""

    def is_open(self, now: float) -> bool:
        """Tell whether pictures are still to tell."""
        return self.refuted_at is None and now - self.since <= (TOLD_SECONDS if self.shown else PATIENCE_SECONDS)

    def is_enough(self, best: float) -> bool:
        """Tell whether what pictures have told, and the last of them, is no chance."""
        return self.surely or self.films >= CHANCE_FILMS or best >= CHANCE_ALIKE

    def stands_for(self, ago: float, now: float) -> bool:
        """Tell whether there is no need to follow another time beside this one, or after it."""
        if self.is_open(now):
            return abs(ago - self.ago) <= 2 * self.within
        told_at, holds = self.refuted_at or self.since, SHOWN_SECONDS if self.shown else TOLD_SECONDS / 2
        return abs(ago - self.ago) <= self.within and now - told_at <= holds


class Replay:
    """One camera's earlier looks, and which of these times may be shown again. Times are those of frames, on any steady clock."""

    def __init__(self) -> None:
        """Remember nothing yet."""
        self._forget()

    def _forget(self) -> None:
        self._looks = deque[tuple[float, Imprint]](maxlen=MOST_KEPT)
        self._anew = deque[float](maxlen=MOST_KEPT)
        """When looks were of something else than those before: a tour of presets."""
        self._now = 0.0
        self._followed = list[_Followed]()
        self._wanted: tuple[_Followed, Imprint] | None = None
        self._shown_at: float | None = None
        self._alike = 0.0
        """When a recording was shown last, and how far its noise was alike."""
        self._surely_since: float | None = None
        """Since when a rhythm has come again."""
        self._told_at: float | None = None
        """When pictures last told of such a time and didn't show it."""
        self._chances, self._chance_at = float(CHANCES), 0.0

    def look(self, at_seconds: float, imprint: Imprint | None) -> None:
        """Take note of a look. One that lies before the last one begins anew: a clock was set."""
        if at_seconds < self._now:
            self._forget()
        self._now = at_seconds
        while self._looks and at_seconds - self._looks[0][0] > KEPT_SECONDS:
            self._looks.popleft()
        if imprint is None:
            self._anew.append(at_seconds)
        else:
            self._looks.append((at_seconds, imprint))

    def shows(self, surely: Sequence[float], maybe: Sequence[float], within: float) -> bool:
        """Tell whether a recording is shown, by what its rhythm says: so many seconds ago, surely or maybe, each give or take `within`."""
        now = self._now
        self._follow(surely, maybe, within)
        self._surely_since = None if not surely else now if self._surely_since is None else self._surely_since
        if self._shown_at is not None:
            if now - self._shown_at <= SHOWN_SECONDS:
                return True
            self._shown_at = None
        if self._surely_since is None:
            return False
        if self._told_at is not None and now - self._told_at <= TOLD_SECONDS:
            return False
        return now - self._surely_since >= PATIENCE_SECONDS or not any(map(self._can_tell, surely))

    @property
    def alike(self) -> float | None:
        """How far the noise is that of the time that is shown again; None where none is."""
        return None if self._shown_at is None else self._alike

    def want(self, after: float) -> Window | None:
        """Return the soonest frames after a time that tell more; each is asked for once."""
        found = [item for item in (self._next(followed, after) for followed in self._followed) if item is not None]
        if not found:
            return None
        begin, at, followed, earlier = min(found, key=itemgetter(0))
        followed.asked, self._wanted = at, (followed, earlier)
        return Window(begin, begin + 2 * followed.within)

    def _next(self, followed: _Followed, after: float) -> tuple[float, float, _Followed, Imprint] | None:
        """Return when what is shown so long after the next of the earlier looks begins, and that look; None where that isn't soon."""
        if not followed.is_open(self._now):
            return None
        apart = AGAIN_SECONDS if followed.shown else APART_SECONDS
        for at, earlier in self._looks:
            begin = at + followed.ago - followed.within
            if at >= followed.asked + apart and begin >= after:
                return (begin, at, followed, earlier) if begin <= after + AHEAD_SECONDS else None
        return None

    def filmed(self, times: Sequence[float], imprints: Sequence[Imprint]) -> None:
        """Take the frames that were wanted, and when each was sent."""
        if self._wanted is None or not imprints:
            return
        (followed, earlier), self._wanted = self._wanted, None
        # Of another preset's pictures nothing is usual here: what one shows beside them is more than noise, and comes again.
        since, since_then = (
            max((at for at in self._anew if at <= until), default=float("-inf"))
            for until in (times[-1], followed.asked)
        )
        usual = [item for at, item in self._looks if at > max(since, followed.asked)][-USUAL_LOOKS:]
        then = [item for at, item in self._looks if since_then < at < followed.asked][-USUAL_LOOKS:]
        found = [alike(imprint, usual, earlier, then) for imprint in imprints]
        best = max((item for item in found if item is not None), default=None)
        if best is not None:
            self._tell(followed, best, times[-1])

    def _tell(self, followed: _Followed, best: float, at: float) -> None:
        """Take note of how far the noise is alike."""
        followed.told += min(max(0.0, best), MOST_TOLD) - LIVE
        followed.told_at, followed.films = at, followed.films + 1
        followed.live = followed.live + 1 if best <= LIVE else 0
        if followed.shown:
            if not followed.live:
                followed.since = self._shown_at = at
                self._alike = best
            elif followed.live >= ENDED:
                followed.refuted_at = self._told_at = at
        elif followed.told >= PROVEN and followed.is_enough(best):
            followed.shown, followed.since, self._shown_at, self._alike = True, at, at, best
            self._told_at = None
            self._chances += not followed.surely
        else:
            if followed.surely:
                self._told_at = at
            if followed.told <= REFUTED:
                followed.refuted_at = at

    def _follow(self, surely: Sequence[float], maybe: Sequence[float], within: float) -> None:
        """Follow what is likeliest of what isn't followed yet."""
        now = self._now
        self._followed = [item for item in self._followed if item.is_open(now) or now - item.since <= TOLD_SECONDS]
        self._chances = min(CHANCES, self._chances + (now - self._chance_at) / CHANCE_SECONDS)
        self._chance_at = now
        for ago, sure in (*((ago, True) for ago in surely), *((ago, False) for ago in maybe)):
            known = [item for item in self._followed if item.stands_for(ago, now)]
            if sure and known:
                known[0].surely = True
                if not known[0].shown:
                    self._told_at = max(known[0].told_at, self._told_at, key=_late)
            if known or not self._can_tell(ago) or not (sure or self._chances >= 1):
                continue
            if sum(item.is_open(now) for item in self._followed) < AT_ONCE:
                self._chances -= not sure
                self._followed.append(_Followed(ago, within, sure, now, float("-inf")))

    def _can_tell(self, ago: float) -> bool:
        """Tell whether there is a look of which it will soon be so long ago."""
        return bool(self._looks) and self._looks[0][0] <= self._now - ago < self._looks[-1][0]


def _late(at: float | None) -> float:
    return float("-inf") if at is None else at
