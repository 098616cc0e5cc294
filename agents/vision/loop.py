"""Does the stream run as it ran before, byte for byte: sizes of coded frames that come again in the same order."""

from __future__ import annotations

import math
import struct
import zlib
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

WINDOW = 8
"""Coded frames whose sizes, in order, make one token."""

SLOTS = 1 << 14
"""Of each table: 16,384 tokens of 8 bytes."""

LATEST_RATE = 2.0
"""Tokens a second at most, in the long run, so that the table of the latest holds two hours of a fast stream."""

PACE_SECONDS = 2.0
"""By the frames of so long a stream's rate is told; what took twice as long was not watched all the time, and tells nothing."""

PACE_TIMES = 3
"""So often in a row a stream is seen to be too fast before fewer of its windows make a token: a sender may send a burst."""

SLOW_RATE = LATEST_RATE / 4
SLOW_TIMES = 300
"""And so often in a row, ten minutes, too slow before more of them do: a longer burst, or a main stream that was watched for a while, would
else hide every loop of a stream that is slow again."""

TICKS = 32
"""A second, in a table. They are counted by whole numbers: the distance of two frames is told as well in the second year as in the first hour."""

ARCHIVED_SHARE = 1 / 512
"""Of the tokens, chosen by their content, go into the table for months: one in ten minutes or so."""

LAG_SECONDS = 0.6
"""By which the distance of a token from its first appearance may waver."""

LEAST_LAG = 8.0
"""Seconds: a shorter period is an encoder's own rhythm over a picture without any change."""

RUN_TOKENS = 24
RUN_SHARE = 0.9
RUN_SECONDS = 9.0
"""A loop: nine in ten of the last 24 tokens came before, all by the same time, and they span nine seconds."""

STAY_SHARE = 0.5
"""A loop that is known goes on while half of the latest tokens came before, at whatever distance: a few seconds that were
not watched, or a sender whose clock jumped, change the distance, not the recording."""

STRAY_TOKENS = 2
"""So many in a row may differ within one copy."""

LEAST_DISTINCT = 8
"""Different ones among them: a still picture's sizes repeat themselves."""

ARCHIVED_LATEST = 16
ARCHIVED_RUN = 4
ARCHIVED_KNOWN_SHARE = 0.75
"""A recording of long ago: among the latest 16 archived tokens four different ones at one distance, and three quarters of those that came
before at all; others took the places of the rest, four in five after three months. Where tokens come again by chance most of them have come before,
each at another distance."""

ARCHIVED_LEAST_LAG = 60.0
"""Seconds: what comes again sooner is told by the latest tokens."""

OVER_CHANCE = 0.01
KEPT_MOST = 0.9
"""It goes on until so many tokens in a row have not come at that distance as would be as rare as this while it is played: three of a day's,
thirty of a quarter's, as most of that was overwritten. Lost packets spoil a tenth."""

_KEPT = struct.Struct("<8sdII")
"""Form, wall time in seconds, ticks of that time in the table, checksum of all but itself; then the table."""
_FORM = b"loop/1\0\0"
KEPT_BYTES = _KEPT.size + 8 * SLOTS
"""So large is what `Loop.kept` returns."""

_WORD = (1 << 64) - 1
_TICKS = (1 << 32) - 1
_HALF = 1 << 31
_GOLDEN = 0x9E3779B97F4A7C15
_MIXER = 0xBF58476D1CE4E5B9

Frame = tuple[float, int, bool]
"""One coded frame: its time in seconds on any steady clock, its size in bytes, whether it is a keyframe."""


@dataclass
class _Table:
    """Tokens and when they were last seen, the newest in each slot."""

    tags: np.ndarray[tuple[int], np.dtype[np.uint32]]
    ticks: np.ndarray[tuple[int], np.dtype[np.uint32]]

    @classmethod
    def empty(cls) -> _Table:
        # Filled, not zeroed by the system: what it takes it takes at once, not page by page over hours, like a leak.
        return cls(np.full(SLOTS, 0, np.uint32), np.full(SLOTS, 0, np.uint32))

    @classmethod
    def read(cls, data: bytes) -> _Table:
        """Return the table that `written` returned."""
        tags, ticks = np.frombuffer(data, "<u4").astype(np.uint32).reshape(2, -1)
        return cls(tags.copy(), ticks.copy())

    def written(self) -> bytes:
        return self.tags.astype("<u4").tobytes() + self.ticks.astype("<u4").tobytes()

    def swap(self, token: int, at: float) -> float | None:
        """Put a token in; return how many seconds before it was seen, None where it wasn't or another one took its place."""
        slot, tag, now = token % SLOTS, (token >> 14 & _TICKS) or 1, math.floor(at * TICKS) & _TICKS
        passed = (now - int(self.ticks[slot]) + _HALF & _TICKS) - _HALF
        lag = passed / TICKS if int(self.tags[slot]) == tag else None
        self.tags[slot], self.ticks[slot] = tag, now
        return lag


@dataclass
class _Old:
    """A recording of long ago that is played now: by which time its tokens come again, and how many in a row have not."""

    lag: float
    missed: int

    def take(self, lag: float | None) -> None:
        """Take note of one more archived token."""
        if lag is not None and abs(lag - self.lag) <= LAG_SECONDS:
            self.lag, self.missed = lag, 0
        else:
            self.missed += 1

    @property
    def goes_on(self) -> bool:
        """Tell whether so many misses in a row are to be expected of what has been overwritten since."""
        kept = math.exp(-self.lag * LATEST_RATE * ARCHIVED_SHARE / SLOTS)
        return (1 - KEPT_MOST * kept) ** self.missed > OVER_CHANCE


class Loop:
    """What is remembered of one stream: two tables, 256 KiB in all, however long it runs.

    Tokens are chosen by their content, so that the same stretch of video yields the same tokens wherever it is cut.
    """

    def __init__(self) -> None:
        """Remember nothing yet."""
        self._latest, self._archive = _Table.empty(), _Table.empty()
        self._hash = 0
        self._sizes: deque[int] = deque(maxlen=WINDOW)
        self._began: float | None = None
        self._base = 0.0
        """How many seconds the tables had been filled for when it began."""
        self._at = 0.0
        """When the last token came, by the tables' time."""
        self._one_in = 1
        """Of the windows one makes a token: a power of two, for so tokens of a denser time have those of a thinner one among them."""
        self._slow = 0
        """So often in a row the stream was too slow for that."""
        self._paced: tuple[float, int] = -math.inf, 0
        """Since when frames are counted, and how many there were."""
        self._rates: deque[float] = deque(maxlen=PACE_TIMES)
        self._run: deque[tuple[float, float | None, int]] = deque(maxlen=RUN_TOKENS)
        """(seconds, distance to the same token before, token)."""
        self._copied: tuple[float, int] | None = None
        """Since when tokens come again, and how many have not since the last that did."""
        self._archived: deque[tuple[float | None, int]] = deque(maxlen=ARCHIVED_LATEST)
        """(distance to the same token before, token)."""
        self._old: _Old | None = None
        self._known = False
        """Whether it was looping when last asked."""
        self._since: float | None = None
        """And since when: what is known of its beginning is not lost where one play follows the other."""

    def frame(self, at_seconds: float, size: int) -> None:
        """Take note of one coded frame."""
        self.frames([(at_seconds, size, False)])

    def frames(self, frames: Sequence[Frame]) -> None:
        """Take note of coded frames in their order: a site's cameras have a thousand a second, most of which are no token."""
        sizes, word, one_in, mixer = self._sizes, _WORD, self._one_in, _MIXER
        since, count = self._paced
        hashed = self._hash
        for at_seconds, size, _ in frames:
            if not 0 <= at_seconds - since < PACE_SECONDS:
                self._pace(at_seconds, since, count)
                one_in, since, count = self._one_in, at_seconds, 0
            count += 1
            sizes.append(size)
            hashed = (hashed << 8) + size * _GOLDEN & word
            mixed = (hashed ^ hashed >> 29) * mixer & word
            if not (mixed >> 40) % one_in and len(set(sizes)) >= WINDOW // 2:
                self._token(at_seconds, mixed)
        self._paced, self._hash = (since, count), hashed

    def _token(self, at_seconds: float, mixed: int) -> None:
        """Take note of a window that is a token."""
        at = self._at = at_seconds - (self._began or 0.0) + self._base
        lag = self._latest.swap(mixed, at)
        self._run.append((at, lag, mixed))
        self._follow(at, lag)
        if ((mixed >> 40) // self._one_in) % round(1 / ARCHIVED_SHARE) == 0:
            before = self._archive.swap(mixed, at)
            self._archived.append((before, mixed))
            if self._old is not None:
                self._old.take(before)

    def kept(self, wall_seconds: float) -> bytes:
        """Return what is remembered for months, to be recalled after a restart; it is `wall_seconds` now."""
        table = self._archive.written()
        head = _KEPT.pack(_FORM, wall_seconds, math.floor(self._at * TICKS) & _TICKS, 0)[:-4]
        return head + struct.pack("<I", zlib.crc32(head + table)) + table

    def recall(self, kept: bytes, wall_seconds: float) -> bool:
        """Go on, before the first frame, from what was kept; return False, and remember nothing, where it is damaged.

        How long nobody watched is told by the wall clock. That may be wrong by any time: all that comes again from before
        then does so by the same wrong distance.
        """
        if len(kept) != _KEPT.size + self._archive.tags.nbytes + self._archive.ticks.nbytes:
            return False
        form, kept_at, ticks, checksum = _KEPT.unpack_from(kept)
        table = kept[_KEPT.size :]
        if (form, checksum) != (_FORM, zlib.crc32(kept[: _KEPT.size - 4] + table)) or not math.isfinite(kept_at):
            return False
        self._archive = _Table.read(table)
        self._base = self._at = ticks / TICKS + min(max(0.0, wall_seconds - kept_at), _HALF / TICKS)
        return True

    def still(self) -> None:
        """The picture stood still: what has come again so far came of that, and is no loop."""
        self._run.clear()
        self._archived.clear()
        self._copied, self._old, self._known, self._since = None, None, False, None

    LEAST_TOLD = LEAST_DISTINCT
    """Fewer of the latest tokens tell nothing of the stream."""

    @property
    def latest(self) -> frozenset[int]:
        """Different tokens of the last seconds, to compare two streams by."""
        return frozenset(token for *_, token in self._run)

    def _pace(self, at_seconds: float, since: float, count: int) -> None:
        """Let fewer windows make a token where the stream is faster than its tokens may be: it may have begun slowly, or in a visit.

        And more where it is slower for long; but not while a loop is known, whose further tokens would have been seen by nobody.
        """
        if self._began is None:
            self._began = at_seconds
        if not PACE_SECONDS <= at_seconds - since <= 2 * PACE_SECONDS:
            return
        self._rates.append(count / (at_seconds - since))
        while len(self._rates) == PACE_TIMES and min(self._rates) / self._one_in > LATEST_RATE:
            self._one_in *= 2
        slow = self._one_in > 1 and not self._known and self._rates[-1] / self._one_in < SLOW_RATE
        self._slow = self._slow + 1 if slow else 0
        if self._slow == SLOW_TIMES:
            self._one_in, self._slow = self._one_in // 2, 0

    @property
    def looping(self) -> bool:
        """Tell whether the stream runs as it ran before: asked at each look, since a loop that is known stays known."""
        recently = self._recently()
        self._known = recently or self._long_ago() or (self._known and self._goes_on())
        if not self._known:
            self._since = None
        elif recently and self._since is None and self._began is not None and self._copied is not None:
            self._since = self._began + self._copied[0] - self._base
        return self._known

    @property
    def since(self) -> float | None:
        """When what runs now began to be a copy, by the clock of the frames, as of the last `looping`; None where that isn't told by the run."""
        return self._since

    def _goes_on(self) -> bool:
        lags = [lag for _, lag, _ in self._run if lag is not None and lag >= LEAST_LAG]
        return len(lags) >= STAY_SHARE * RUN_TOKENS and len({token for *_, token in self._run}) >= LEAST_DISTINCT

    def _follow(self, at: float, lag: float | None) -> None:
        """Keep since when tokens come again, at whatever distance: a part is played for the first time, then anew."""
        again = lag is not None and lag >= LEAST_LAG
        since, strays = self._copied or (at, STRAY_TOKENS)
        strays = 0 if again else strays + 1
        self._copied = (since, strays) if strays <= STRAY_TOKENS else None

    def _recently(self) -> bool:
        run = self._run
        if len(run) < RUN_TOKENS or run[-1][0] - run[0][0] < RUN_SECONDS:
            return False
        lags = [lag for _, lag, _ in run if lag is not None]
        if len(lags) < RUN_SHARE * RUN_TOKENS or len({token for *_, token in run}) < LEAST_DISTINCT:
            return False
        middle = median(lags)
        agree = sum(abs(lag - middle) <= LAG_SECONDS for lag in lags)
        return middle >= LEAST_LAG and agree >= RUN_SHARE * RUN_TOKENS

    def _long_ago(self) -> bool:
        old = self._old
        if old is not None and not old.goes_on:
            # What came since the last of it may be another recording, or the same from its beginning.
            for _ in range(max(0, len(self._archived) - old.missed)):
                self._archived.popleft()
            old = None
        self._old = old or self._found()
        return self._old is not None

    def _found(self) -> _Old | None:
        """Look for a recording of long ago among the latest archived tokens."""
        known = sorted(lag for lag, _ in self._archived if lag is not None)
        if len(known) < ARCHIVED_RUN:
            return None
        middle = known[len(known) // 2]  # what three quarters agree on has the middle one among them
        agree = [
            number
            for number, (lag, _) in enumerate(self._archived)
            if lag is not None and abs(lag - middle) <= LAG_SECONDS
        ]
        if middle < ARCHIVED_LEAST_LAG or len(agree) < ARCHIVED_KNOWN_SHARE * len(known):
            return None
        if len({self._archived[number][1] for number in agree}) < ARCHIVED_RUN:
            return None
        found = _Old(middle, len(self._archived) - 1 - agree[-1])
        return found if found.goes_on else None
