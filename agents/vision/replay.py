"""Is what is shown now what was shown so long ago, encoded anew: its noise is held against that of earlier looks, exact to the frame, and where it shows it."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import NamedTuple

from agents.vision.film import FilmFrame
from agents.vision.imprint import Imprint, alike, like
from agents.vision.offset import Offset
from agents.vision.passes import Passes

KEPT_SECONDS = 1800.0
MOST_KEPT = 240
"""So long, and so many, looks are kept, a kilobyte each: what is shown again after a longer time is told by its rhythm alone."""

APART_SECONDS = 8.0
"""Between two looks that are held against what is shown now: neighbours tell the same."""

AGAIN_SECONDS = 20.0
"""And once it has been shown."""

STANDS_RATIO = 0.85
"""Of a picture's blocks change at the most, from look to look, where the camera stands: a lamp, or who comes close to the lens, may do as much once."""

TURNED_RATIO = 0.25
TURNED_LIKE = 0.12
"""Of one that has turned to a wall as bright as the other as few may change, but then the rest isn't what it was, either: two presets have 0.06 at the most,
looks at a crowded hall in which as many change 0.15 at the least."""

USUAL_LOOKS = 4
"""What is usual is the mean of so many looks: the latest ones, and those before the one that may be shown again. None is in both: it would make them alike."""

MOMENT = 0.001
"""Seconds: times are rounded to their own ticks."""

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

PLACED_SECONDS = 180.0
"""So long a time is followed where no noise tells, as on a tour of presets, but films do by where they lie beside the earlier looks (`passes`)."""

AT_ONCE = 3
"""So many times are followed at the same time: a short recording that is played over and over is like several."""

AHEAD_SECONDS = 60.0
"""So far ahead frames are asked for: while there was a hole in the looks of that time, others may tell sooner."""

CHANCES = 6
CHANCE_SECONDS = 600.0
"""So many times that are less likely are followed in a row, and one more after each such time: it costs to decode frames."""


class Window(NamedTuple):
    """The frames that are wanted: seconds; and the earlier look that they are held against."""

    begin: float
    end: float
    earlier: Imprint


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
    passes: Passes = field(default_factory=Passes)
    """Where films lie that no noise tells of."""
    view: tuple[float, Imprint] | None = None
    """Since when the camera showed what the last of them shows, and the earlier look that this was held against."""
    shown: bool = False
    """It was shown to be so."""
    by_place: bool = False
    """By where films lie: of a camera that stands that tells nothing."""
    refuted_at: float | None = None
    """Since when it is known not to be so, or not to be so any more."""

    def is_open(self, now: float) -> bool:
        """Tell whether pictures are still to tell."""
        places = bool(self.passes) or (self.surely and not self.films)
        holds = TOLD_SECONDS if self.shown else PLACED_SECONDS if places else PATIENCE_SECONDS
        return self.refuted_at is None and now - self.since <= holds

    def is_enough(self, best: float) -> bool:
        """Tell whether what pictures have told, and the last of them, is no chance."""
        return self.surely or self.films >= CHANCE_FILMS or best >= CHANCE_ALIKE

    def take(self, places: Sequence[Offset], since: float, earlier: Imprint) -> None:
        """Take where a film lies beside an earlier look, and since when the camera had shown what that shows.

        It shows another view than the last one where that has changed since, and isn't what it was: a flash of light, or a picture of something else
        that somebody puts in between, doesn't make a camera that stands one that turns.
        """
        if self.view is None or (since != self.view[0] and float(like(earlier, self.view[1])[0]) < TURNED_LIKE):
            self.view = since, earlier
        self.passes.take(places, self.view[0])

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
        self._differed_at: float | None = None
        """When the camera was last seen to come by again, but not exactly."""
        self._chances, self._chance_at = float(CHANCES), 0.0

    def look(self, at_seconds: float, imprint: Imprint | None, changed: float = 0.0) -> None:
        """Take note of a look, of which such a share of the blocks has changed. One that lies before the last one begins anew: a clock was set."""
        if at_seconds < self._now:
            self._forget()
        self._now = at_seconds
        while self._looks and at_seconds - self._looks[0][0] > KEPT_SECONDS:
            self._looks.popleft()
        if imprint is None:
            self._anew.append(at_seconds)
            return
        turned = (
            changed > TURNED_RATIO and bool(self._looks) and float(like(imprint, self._looks[-1][1])[0]) < TURNED_LIKE
        )
        if changed > STANDS_RATIO or turned:
            self._anew.append(at_seconds)
        self._looks.append((at_seconds, imprint))

    @property
    def earlier(self) -> list[Imprint]:
        """The imprints of the looks that are kept, but for the newest, in order."""
        return [item for _, item in self._looks][:-1]

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
        return Window(begin, begin + 2 * followed.within, earlier)

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

    def filmed(self, times: Sequence[float], frames: Sequence[FilmFrame]) -> None:
        """Take the frames that were wanted, and when each was sent."""
        if self._wanted is None or not frames:
            return
        (followed, earlier), self._wanted = self._wanted, None
        # Of another preset's pictures nothing is usual here: what one shows beside them is more than noise, and comes again.
        since, since_then = (
            max((at for at in self._anew if at <= until), default=float("-inf"))
            for until in (times[-1], followed.asked)
        )
        # Nor is a look one of the filmed frames themselves: it would take their noise away.
        apart = [(at, item) for at, item in self._looks if not times[0] - MOMENT <= at <= times[-1] + MOMENT]
        usual = [item for at, item in apart if at > max(since, followed.asked)][-USUAL_LOOKS:]
        then = [item for at, item in self._looks if since_then < at < followed.asked][-USUAL_LOOKS:]
        found = [alike(frame.imprint, usual, earlier, then) for frame in frames if frame.meets]
        best = max((item for item in found if item is not None), default=None)
        places = [frame.offset for frame in frames if frame.offset is not None]
        if best is not None:
            self._tell(followed, best, times[-1])
        elif places:
            followed.take(places, since_then, earlier)
            self._pass(followed, max(item.alike for item in places), times[-1])

    def _pass(self, followed: _Followed, alike: float, at: float) -> None:
        """Take note of where a film lies of which no noise tells."""
        if followed.shown:
            if followed.by_place:
                self._go_on(followed, alike, at, live=not followed.passes.goes_on)
        elif followed.passes.differ:
            followed.refuted_at = followed.told_at = self._differed_at = at
            if followed.surely:
                self._told_at = at
        elif followed.passes.meet and self._differed_at is not None and at - self._differed_at <= KEPT_SECONDS:
            followed.by_place = True
            self._show(followed, alike, at)

    def _tell(self, followed: _Followed, best: float, at: float) -> None:
        """Take note of how far the noise is alike."""
        followed.told += min(max(0.0, best), MOST_TOLD) - LIVE
        followed.told_at, followed.films = at, followed.films + 1
        if followed.shown:
            self._go_on(followed, best, at, live=best <= LIVE)
            return
        followed.live = followed.live + 1 if best <= LIVE else 0
        if followed.told >= PROVEN and followed.is_enough(best):
            self._show(followed, best, at)
        else:
            if followed.surely:
                self._told_at = at
            if followed.told <= REFUTED:
                followed.refuted_at = at

    def _show(self, followed: _Followed, alike: float, at: float) -> None:
        """Take note of a recording that is shown."""
        followed.shown, followed.since, self._shown_at, self._alike = True, at, at, alike
        self._told_at = None
        self._chances += not followed.surely

    def _go_on(self, followed: _Followed, alike: float, at: float, *, live: bool) -> None:
        """Take note of a further film of what was shown."""
        followed.live = followed.live + 1 if live else 0
        if not live:
            followed.since = self._shown_at = at
            self._alike = alike
        elif followed.live >= ENDED:
            followed.refuted_at = self._told_at = at

    def _follow(self, surely: Sequence[float], maybe: Sequence[float], within: float) -> None:
        """Follow what is likeliest of what isn't followed yet."""
        now = self._now
        self._followed = [item for item in self._followed if item.is_open(now) or now - item.since <= TOLD_SECONDS]
        for item in self._followed:
            if not item.is_open(now):
                item.passes.forget()
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
