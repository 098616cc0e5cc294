"""Does the stream run as it ran before, encoded anew: what moves in the picture makes frames large, in the same rhythm."""

from __future__ import annotations

import math
from array import array
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from agents.vision.loop import Frame
from agents.vision.quantile import quantile

BACK_SECONDS = 7.0
"""So far frames may lie behind those before them and belong to the step that is being counted: they come in the order in which they are
decoded, not shown, and a sender's clock that wavers or is set may lie three seconds before ours and then three behind. Whoever plays a recording sets it."""

SHOWN_SECONDS = 1.0
"""Those that lie no farther behind count where they are shown: bidirectional ones are sent after the one that is shown after them."""

KEPT_SECONDS = 3 * 3600
"""Of each step what it has that those before it didn't let expect, a byte; of each second whether there was a frame, whether the picture stood still,
and whether nothing moved."""

LEARNT_SECONDS = 1200
"""By so many of the latest seconds is told what the steps before one let expect."""

SETTLED_SECONDS = 80
"""What is older isn't told anew: the looks that say whether it stood still are past, and the slow mean around it is whole."""

STEPS = 5
"""A second has so many values where so many frames come, or more, else one: a loop of a room in which little moves is known by the noise of its frames."""

PACED_SECONDS = 30
FAST, SLOW = 4.5, 4.0
"""Frames a second, of so many seconds that had any, from which on it is five values, and below which it is one. Seconds without one tell of the line."""

ASKED_SECONDS = 20
ASKED_AGAIN_SECONDS = {1: 20, STEPS: 10}
"""The question costs milliseconds: it is asked so often, and sooner, by steps a second, when something was found that isn't known to be a loop yet."""

LEAST_LAG = 15
"""Seconds to the earlier time."""

Bar = tuple[float, float]

LIKELY: dict[int, dict[int, Bar]] = {
    1: {40: (0.8, 4.2), 60: (0.75, 4.0), 90: (0.7, 3.8), 150: (0.65, 3.5)},
    STEPS: {30: (0.55, 3.9), 60: (0.45, 3.9)},
}
"""By steps a second, for windows of so many seconds at whose end an earlier time is looked for (lively pictures need few, quiet ones more):
correlation, and how many standard deviations of chance it is (by Fisher's transform, with as many independent values as
the curves have) whichever half of the window is left out: one thing that happens again makes windows alike in which nothing else is."""
LIKELY_UNMOVED: dict[int, dict[int, Bar]] = {
    1: {60: (0.85, 4.8), 90: (0.78, 4.8), 150: (0.7, 4.4)},
    STEPS: {30: (0.6, 4.2), 60: (0.5, 4.2)},
}
"""The same where nothing moved in the window, as far as looks told: an encoder's play with the noise comes again by chance for 40 s."""
GOES_ON: dict[int, Bar] = {1: (0.6, 2.5), STEPS: (0.4, 4.0)}
"""The same of what came since, at the same time before, with nothing left out: only then it is a loop. Of thousands of earlier times one is like the latest by
chance now and then, and goes on otherwise."""

MAYBE: Bar = (0.35, 2.5)
"""The same of what may be one: pictures will tell."""

STAYS: dict[int, Bar] = {1: (0.4, 1.5), STEPS: (0.3, 2.2)}
"""The same for a loop that is known."""
GONE_ON_SECONDS = 60
"""Of so many of the latest seconds at the most."""

MOVES_RATIO = 0.004
"""Share of a picture's blocks that change from look to look where somebody moves, far off; of a still room hardly any do."""

LEAST_FRAMES = 0.2
"""A frame counts for the steps before and after it, the more the nearer: a loop is no whole number of steps long. So much
of a frame is needed for a step to have a value."""

KNOWN_RATIO = 0.8
"""Of the last minute's seconds must have a frame: the rest is filled in, and tells nothing. Of two pictures in three seconds what is filled in comes again by
chance."""

LEAST_POWER = 0.01
"""An earlier time with less movement than this, beside the latest, correlates by chance of its rounding."""

BLOCK = 2048
"""Values that are correlated at once, by FFT: several times the longest window."""

ORDER_SECONDS = 16
"""So far the curve's own rhythm is predicted and taken out: encoders have one, of each group of pictures, and a clock in the picture has one of ten seconds."""

MOST_MORE = 5.0
MOST_SURPRISE = 3.5
"""Medians of what frames have beyond the usual, and of what is unexpected of that: what is more counts as so much, for one large frame at the same
place makes two windows alike in which nothing else is."""

SAMPLED = 7
"""Of so many values one tells what is usual: a median of all costs as much as the rest."""

SLOW_SECONDS = 61
"""What changes more slowly is light, or how many people are there, and no rhythm: the mean of so many seconds is taken out. First of all: after
a lamp was switched on all would be more than the usual, and no step differ from the next."""

SAME_LOOKS = 4
"""A frozen picture is known to be one when it is that of one of so many looks before: what lies between was frozen, too."""

PLACES = 1024
"""So many frames of a group of pictures are told apart; those of a longer one, and those before the first keyframe, count as its last."""

STEADY = 16
"""What a frame's size is usually, at its place in the group, is the mean of so many groups or so."""

MOST_LIKELY = 16
"""So many earlier times are followed up, those that have gone on for longest: a short loop is like each of its runs within three hours."""

MOST_ENDED = 500
"""So many steps wait before they are put where the latest ones lie, but for the last ones, which frames may still belong to."""

MOST_LEVELS = 127
"""A step's value is kept as one of so many levels up or down."""

Curve = npt.NDArray[np.float32]
Levels = npt.NDArray[np.int8]
Window = npt.NDArray[np.float64]
Sums = npt.NDArray[np.int32]
"""Of three hours of levels' squares they are less than two thousand million."""
Mask = npt.NDArray[np.bool_]
Kept = TypeVar("Kept", bound=np.generic)


class Recurrence:
    """The stream's activity over the last hours, and where it was the same before."""

    def __init__(self) -> None:
        """Remember nothing yet."""
        self._steps = STEPS
        self._latest = np.full((2, LEARNT_SECONDS * STEPS), np.nan, np.float32)
        """What frames have beyond the usual, by steps; and half a step before each: a loop is no whole number of steps long."""
        self._curve: Levels = np.zeros(KEPT_SECONDS * STEPS, np.int8)
        """What of that those before it didn't let expect."""
        self._had = np.full(KEPT_SECONDS, False)
        """In which seconds there was a frame."""
        self._stood = np.full(KEPT_SECONDS, False)
        """In which seconds the picture stood still: what an encoder makes of that comes again, and is no loop."""
        self._unmoved = np.full(KEPT_SECONDS, False)
        """Which seconds lie between two looks that show the same room, but for its noise."""
        self._looks: deque[int] = deque(maxlen=SAME_LOOKS + 1)
        """The seconds of the latest look and of those before that it may be the same as."""
        self._still = False
        self._usual, self._counted = array("d", bytes(8 * PLACES)), array("H", bytes(2 * PLACES))
        """What the logarithm of a frame's size is at each place of a group of pictures, and how many of them say so."""
        self._place = PLACES - 1
        self._step: int | None = None
        """The one that is being counted, since the clock's zero."""
        self._more, self._frames = [0.0, 0.0], [0.0, 0.0]
        """What frames have beyond the usual, and how many there are, in that step and in the next one."""
        self._more_between, self._frames_between = [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]
        """The same half a step before this one, the next one and the one after that."""
        self._any = False
        """There was a frame in the step that is being counted."""
        self._ended = _Ended(array("d"), array("d")), _Ended(array("d"), array("d"))
        """The same of the latest steps that have ended, and of what lies half a step before each."""
        self._first, self._told = 0, 0
        """The first step that is remembered, and up to which one the curve is made and stays."""
        self._paced, self._pace = 0, 0
        """In how many seconds how many frames have come."""
        self._asked, self._answer, self._alike = 0, False, 0.0
        self._likely: dict[float, int] = {}
        """How many steps before something was likely to be the same, and since which second that is known."""
        self._again: list[float] = []
        self._maybe: list[float] = []
        """How many steps before it was the same, or may have been, likeliest first."""

    def frame(self, at_seconds: float, size: int, *, keyframe: bool) -> None:
        """Take note of one coded frame: its time on any steady clock, its size in bytes."""
        self.frames([(at_seconds, size, keyframe)])

    def frames(self, frames: Sequence[Frame]) -> None:
        """Take note of coded frames in their order.

        What moves in the picture makes a frame larger than it usually is at its place in the group of pictures; the rest is the encoder's own rhythm.
        """
        usual, counted, last, log = self._usual, self._counted, PLACES - 1, math.log
        place, steps, sums, counts = self._place, self._steps, self._more, self._frames
        between, counts_between = self._more_between, self._frames_between
        for at_seconds, size, keyframe in frames:
            place = 0 if keyframe else place + 1 if place < last else last
            value, seen = log(16 + size), counted[place]
            if not seen:
                usual[place] = value
            more = value - usual[place]
            if seen < (STEADY if place < last else PLACES):
                seen = counted[place] = seen + 1
            usual[place] += more / seen
            at = at_seconds * steps
            step = math.floor(at)
            late = at - step
            if step != self._step:
                if self._step is not None and 0 < self._step - at <= BACK_SECONDS * steps:
                    if self._step - step <= min(SHOWN_SECONDS * steps, len(self._ended[0].sums)):
                        self._shown_before(step, self._step, late, more)
                        continue
                    late = 0.0
                else:
                    self._begin(step)
            early = 1 - late
            sums[0] += early * more
            sums[1] += late * more
            counts[0] += early
            counts[1] += late
            after = 1 if late >= 0.5 else 0
            share = late + 0.5 - after
            between[after] += (1 - share) * more
            between[after + 1] += share * more
            counts_between[after] += 1 - share
            counts_between[after + 1] += share
            self._any = True
        self._place = place
        self._pace += len(frames)

    def _shown_before(self, step: int, counted: int, late: float, more: float) -> None:
        """Count a frame that is shown in an earlier step than the one that is being counted, by so much of a step after its beginning."""
        behind, after = step - counted, 1 if late >= 0.5 else 0
        share = late + 0.5 - after
        ended, between = self._ended
        for place, weight in ((behind, 1 - late), (behind + 1, late)):
            sums, counts = (ended.sums, ended.counts) if place < 0 else (self._more, self._frames)
            sums[place] += weight * more
            counts[place] += weight
        for place, weight in ((behind + after, 1 - share), (behind + after + 1, share)):
            sums, counts = (between.sums, between.counts) if place < 0 else (self._more_between, self._frames_between)
            sums[place] += weight * more
            counts[place] += weight
        second = step // self._steps
        if second < counted // self._steps and not self._had[second % KEPT_SECONDS]:
            self._had[second % KEPT_SECONDS] = True
            self._paced += 1

    def _begin(self, step: int) -> None:
        """End the steps before this one."""
        before, steps = self._step, self._steps
        if before is None or step < before or step - before > KEPT_SECONDS * steps:
            self._forget(step)
            return
        if self._any:
            self._had[before // steps % KEPT_SECONDS] = True
        for _ in range(min(3, step - before)):  # a frame counts for so many
            self._end()
        if step - before > 3:
            for ended in self._ended:
                ended.skip(step - before - 3)
        self._step = step
        if step // steps > before // steps:
            self._paced += 1
            for second in range(max(before // steps, step // steps - KEPT_SECONDS) + 1, step // steps + 1):
                place = second % KEPT_SECONDS  # one after the other: hardly ever is it more than one
                self._had[place] = self._stood[place] = self._unmoved[place] = False
        if len(self._ended[0].sums) > MOST_ENDED:
            self._put()

    def _end(self) -> None:
        """End the step that is being counted."""
        ended, between = self._ended
        ended.take(self._more.pop(0), self._frames.pop(0))
        between.take(self._more_between.pop(0), self._frames_between.pop(0))
        for sums in (self._more, self._frames, self._more_between, self._frames_between):
            sums.append(0.0)
        self._any = False

    def _forget(self, step: int) -> None:
        """Begin with a step."""
        self._step = self._first = self._told = step
        for ended in self._ended:
            ended.keep(0)
        for sums in (self._more, self._frames, self._more_between, self._frames_between):
            sums[:] = [0.0] * len(sums)
        second = step // self._steps
        self._had[second % KEPT_SECONDS] = self._stood[second % KEPT_SECONDS] = self._unmoved[second % KEPT_SECONDS] = (
            False
        )
        self._looks.clear()
        self._any = False
        self._asked = second
        self._paced = self._pace = 0
        self._likely = {}
        self._answer_nothing()

    def _answer_nothing(self) -> None:
        self._answer, self._alike, self._again, self._maybe = False, 0.0, [], []

    def looked(self, *, moved: bool = True) -> None:
        """Take note of a look at the frames so far, before `looping` is asked: it `moved` when more than noise is new since the last one."""
        if self._step is None:
            return
        second = self._step // self._steps
        if self._looks and not moved:
            self._unmoved[_places(self._looks[-1], second)] = True
        self._looks.append(second)

    def stood(self, *, still: bool) -> None:
        """Take note of what the look turned out to be, after it was asked.

        It is `still` when it shows the picture of one of the looks before: it was frozen since then, and the last such look is
        followed by frozen time up to the next one at the most.
        """
        if self._step is None or not self._looks:
            return
        if len(self._looks) > 1 and (still or self._still):
            self._stood[_places(self._looks[0 if still else -2], self._step // self._steps)] = True
            self._answer_nothing()
        self._still = still

    @property
    def looping(self) -> bool:
        """Tell whether the last minutes are an earlier time again."""
        if self._step is None:
            return False
        second = self._step // self._steps
        since = second - self._asked
        if since >= (ASKED_SECONDS if self._answer or not self._likely else ASKED_AGAIN_SECONDS[self._steps]):
            self._asked = second
            if not self._changed_pace(second):
                self._ask(second)
        return self._answer

    @property
    def alike(self) -> float:
        """How far the last seconds and that earlier time are alike: their correlation when `looping` was last asked, 0 where it isn't."""
        return self._alike

    @property
    def again(self) -> list[float]:
        """How many seconds before it was the same when `looping` was last asked; nothing where it isn't."""
        return [ago / self._steps for ago in self._again]

    @property
    def maybe(self) -> list[float]:
        """How many seconds before it may have been the same, likeliest first: one in some is."""
        return [ago / self._steps for ago in self._maybe]

    @property
    def within(self) -> float:
        """By so many seconds these may be wrong."""
        return 0.8 / self._steps

    def _changed_pace(self, second: int) -> bool:
        """Tell whether a second has another number of values from now on, by how many frames come: then all is forgotten."""
        if self._paced < PACED_SECONDS:
            return False
        rate = self._pace / self._paced
        self._paced = self._pace = 0
        steps = STEPS if rate >= FAST else 1 if rate < SLOW else self._steps
        changed = steps != self._steps
        self._steps = steps
        if changed:
            self._forget(second * steps)
        return changed

    def _ask(self, second: int) -> None:
        """Look for earlier times that the seconds before this one are likely to be again, and whether those found before go on."""
        first, between = self._tell(second)
        if not len(between) or self._had[_places(second - 60, second - 1)].mean() < KNOWN_RATIO:
            self._likely = {}
            self._answer_nothing()
            return
        steps = self._steps
        seconds = _places(first, second - 1)
        curve = _cut(self._curve, first * steps, second * steps, KEPT_SECONDS * steps)
        stood, unmoved = self._stood[seconds], self._unmoved[seconds]
        hangs = _hanging(np.repeat(stood, steps), ORDER_SECONDS * steps) if stood.any() else None
        tails = [curve, between]
        bar = (STAYS if self._answer else GOES_ON)[steps]
        on, alike, maybe = dict[float, int](), list[float](), dict[float, float]()
        for ago, since in self._likely.items():
            goes_on = _goes_on(curve, tails, min(second - since, GONE_ON_SECONDS) * steps, ago, bar, hangs)
            if goes_on is not None:
                on[ago] = since
                alike.append(goes_on)
        found = dict[float, int]()
        for item in recurring(curve, tails, [item * steps for item in LIKELY[steps]], hangs, LEAST_LAG * steps):
            still = unmoved[-(len(item.tail) // steps) :]
            likely = (LIKELY_UNMOVED if still.all() else LIKELY)[steps].get(len(still))
            if likely is not None and item.reaches(likely):
                known = (since for ago, since in self._likely.items() if abs(ago - item.ago) <= 1)
                found[item.ago] = min(known, default=second)
                alike.append(item.alike)
            if item.alike >= MAYBE[0] and (sigmas := _beyond_chance(item)) >= MAYBE[1]:
                maybe[item.ago] = max(sigmas, maybe.get(item.ago, 0.0))
        self._answer = bool(on) or (self._answer and bool(found))
        self._alike = max(alike) if self._answer else 0.0
        self._again = list(on or found) if self._answer else []
        self._maybe = sorted(maybe, key=lambda ago: -maybe[ago])
        self._likely = dict(sorted((found | on).items(), key=lambda item: item[1])[:MOST_LIKELY])

    def _put(self) -> None:
        """Put the steps that have ended where the latest ones lie."""
        if self._step is None:
            return
        size = LEARNT_SECONDS * self._steps
        values = np.array([ended.values() for ended in self._ended])[:, -size:]
        self._latest[:, np.arange(self._step - values.shape[1], self._step) % size] = values
        for ended in self._ended:
            ended.keep(round(SHOWN_SECONDS * self._steps))

    def _tell(self, second: int) -> tuple[int, Levels]:
        """Make the curve up to a second, but for what stays.

        Return the first second of which it tells, and the end of the same half a step before: nothing when too little is known.
        """
        self._put()
        steps, order = self._steps, ORDER_SECONDS * self._steps
        end, kept = second * steps, KEPT_SECONDS * steps
        # One second less than is kept: the step that is being counted may be the last of its own.
        learnt = max(-(-self._first // steps), second - LEARNT_SECONDS + 1)
        rows = [_cut(row, learnt * steps, end, LEARNT_SECONDS * steps) for row in self._latest]
        levels, between = _surprise(rows, np.repeat(self._stood[_places(learnt, second - 1)], steps), steps)
        start = max(self._told, learnt * steps + order)
        if self._told < start:  # nobody asked for longer than is learnt from
            self._curve[np.arange(max(self._told, start - kept), start) % kept] = 0
        if len(levels) and start < end:
            self._curve[np.arange(start, end) % kept] = levels[start - end :]
            self._told = max(start, end - SETTLED_SECONDS * steps)
        return max(-(-self._first // steps) + ORDER_SECONDS, second - KEPT_SECONDS + 1), between


@dataclass(frozen=True)
class _Ended:
    """Steps one after the other: what their frames have beyond the usual, and how many frames."""

    sums: array[float]
    counts: array[float]

    def take(self, more: float, frames: float) -> None:
        """Add a step."""
        self.sums.append(more)
        self.counts.append(frames)

    def skip(self, steps: int) -> None:
        """Add so many steps without a frame."""
        self.sums.extend([0.0] * steps)
        self.counts.extend([0.0] * steps)

    def values(self) -> Curve:
        """Return what each step has; not a number where too little of a frame is in it."""
        sums, counts = np.array(self.sums), np.array(self.counts)
        return np.where(counts >= LEAST_FRAMES, sums / np.maximum(counts, LEAST_FRAMES), np.nan).astype(np.float32)

    def keep(self, steps: int) -> None:
        """Leave the last so many steps alone."""
        del self.sums[: max(0, len(self.sums) - steps)], self.counts[: max(0, len(self.counts) - steps)]


def _cut(ring: npt.NDArray[Kept], first: int, end: int, size: int) -> npt.NDArray[Kept]:
    """Return [first, end) of what is kept in the first `size` places of a ring."""
    if end <= first:
        return ring[:0]
    at, until = first % size, (end - 1) % size + 1
    return ring[at:until] if at < until else np.concatenate([ring[at:size], ring[:until]])


def _places(first: int, last: int) -> npt.NDArray[np.intp]:
    """Return where the seconds from the first to the last one are kept."""
    return np.arange(max(first, last + 1 - KEPT_SECONDS), last + 1) % KEPT_SECONDS


def _hanging(stood: Mask, order: int) -> Mask:
    """Return which steps hang on still time: those by which they are told are among it."""
    if not stood.any():
        return stood
    sums = _sums(stood)
    first = np.maximum(np.arange(len(stood)) - order, 0)
    return np.asarray(sums[1:] > sums[first])


def _surprise(rows: Sequence[Curve], stood: Mask, steps: int) -> tuple[Levels, Levels]:
    """Return what each step of both rows has that those before it didn't let expect, but for the first ones.

    The curve without what is slow and without its own rhythm: the error of linear prediction (Yule-Walker, by the first row), so that a
    rhythm of any period up to 16 seconds goes, and what is left of the same video is the same wherever it is cut.
    Nothing is returned where too few steps are known.
    """
    order = ORDER_SECONDS * steps
    nothing = np.zeros(0, np.int8), np.zeros(0, np.int8)
    if (np.isfinite(rows[0]) & ~stood).sum() < 4 * order:
        return nothing
    filled, between = (_filled(row, stood, steps) for row in rows)
    own = np.correlate(np.concatenate([filled, np.zeros(order, np.float32)]), filled, "valid").astype(np.float64)
    if own[0] <= 0:
        return nothing
    own[0] *= 1.001  # a curve that is all rhythm has no unique prediction
    kernel = np.concatenate([[1.0], -np.linalg.solve(own[_apart(order)], own[1:])]).astype(np.float32)
    hangs = _hanging(stood, order)[order:]
    return _levels(filled, kernel, hangs), _levels(between, kernel, hangs)


@lru_cache(maxsize=len(LIKELY))
def _apart(order: int) -> npt.NDArray[np.intp]:
    """Return how far so many values are apart: shape (order, order)."""
    return np.abs(np.subtract.outer(np.arange(order), np.arange(order)))


def _filled(values: Curve, stood: Mask, steps: int) -> Curve:
    """Return what isn't slow of values, none far from the usual, those filled in that aren't known."""
    known = np.isfinite(values) & ~stood
    if not known.any():
        return np.zeros(len(values), np.float32)
    if not known.all():
        values = np.interp(np.arange(len(values)), np.flatnonzero(known), values[known]).astype(np.float32)
    fast = values - _slow(values, SLOW_SECONDS * steps // 2)
    bound = _usual(fast, MOST_MORE)
    return np.asarray(np.clip(fast, -bound, bound), np.float32)


def _levels(values: Curve, kernel: Curve, hangs: Mask) -> Levels:
    """Return the error of prediction, in levels of the most that counts."""
    error = np.convolve(values, kernel, "valid")
    bound = _usual(error if hangs.all() else error[~hangs], MOST_SURPRISE)
    return np.asarray(np.rint(np.clip(error / bound, -1, 1) * MOST_LEVELS), np.int8)


def _usual(values: Curve, times: float) -> np.float32:
    """Return so many times the median distance from zero."""
    counted = values[:: SAMPLED if len(values) > SAMPLED * LEAST_LAG else 1]
    return np.float32(times * quantile(np.abs(counted), 0.5) + 1e-6)


def _slow(values: Curve, half: int) -> Curve:
    """Return the mean of the values around each, so many before and as many after it."""
    whole = 2 * half + 1
    sums = np.cumsum(np.concatenate([np.zeros(half + 1), values, np.zeros(half)]), dtype=np.float64)
    around = np.full(len(values), float(whole))
    edge = np.arange(half + 1, whole)[: len(values)]
    around[: len(edge)] = edge
    around[len(values) - len(edge) :] = np.minimum(edge[::-1], around[len(values) - len(edge) :])
    return np.asarray((sums[whole:] - sums[:-whole]) / around, np.float32)


@dataclass(frozen=True)
class Again:
    """The end of a curve, and the earlier time that is most like it."""

    tail: Window
    """Less its mean, as the earlier one."""
    before: Window
    alike: float
    """Their correlation."""
    ago: float
    """So many values before."""

    def reaches(self, bar: Bar) -> bool:
        """Tell whether the correlation is high, and by far more than its own rhythm or a part of it explains."""
        correlation, sigmas = bar
        return self.alike >= correlation and _beyond_chance(self) >= sigmas


def recurring(
    curve: Levels, tails: Sequence[Levels], windows: Sequence[int], hangs: Mask | None, lag: int
) -> Iterator[Again]:
    """Yield for each window at the end of each of `tails` (the second one is half a value behind) the earlier time of a curve, by `lag` values or more, that is most like it.

    Left out are windows that are longer than what is remembered, and those that hang on still time, at the end or in the past.
    """
    moves_from = lag if hangs is None or not hangs.any() else int(np.flatnonzero(hangs)[-1]) + 1
    possible = [window for window in windows if window <= len(curve) - max(moves_from, lag)]
    if not possible:
        return
    past = _Past.of(curve[:-lag], None if hangs is None else hangs[:-lag], max(possible))
    for window, (number, values) in product(possible, enumerate(tails)):
        tail = values[-window:].astype(np.float64)
        tail -= tail.mean()
        power = float(tail @ tail)
        if power > 0:
            yield past.most_like(tail, power, len(curve) - number / 2)


def _goes_on(
    curve: Levels, tails: Sequence[Levels], count: int, ago: float, bar: Bar, hangs: Mask | None
) -> float | None:
    """Return how far the latest `count` values, too, are those of so many values before, give or take one; None where they aren't, or by still time."""
    correlation, sigmas = bar
    if hangs is not None and hangs[-count:].any():
        return None
    for number, values in enumerate(tails):
        tail = values[-count:].astype(np.float64)
        tail -= tail.mean()
        for shift in (-1, 0, 1):
            end = len(curve) - math.floor(ago + number / 2) + shift
            before = curve[max(0, end - count) : max(0, end)].astype(np.float64)
            if len(before) == len(tail):
                alike = _alike(tail, before - before.mean())
                if alike >= correlation and _sigmas(alike, tail) >= sigmas:
                    return alike
    return None


@dataclass(frozen=True)
class _Past:
    """What a window is held against."""

    curve: Levels
    squares: Sums
    still: Sums | None
    """Of the values that hang on still time."""
    waves: tuple[npt.NDArray[np.complex64], int]

    @classmethod
    def of(cls, curve: Levels, hangs: Mask | None, longest: int) -> _Past:
        """Make a curve ready for windows of up to `longest` values."""
        values = curve.astype(np.int32)
        return cls(curve, _sums(values * values), None if hangs is None else _sums(hangs), _waves(curve, longest))

    def most_like(self, tail: Window, power: float, end: float) -> Again:
        """Return the time that is most like a window of so much `power` that ends at `end`.

        Its mean is nearly none: what is slow is out of the curve.
        """
        window = len(tail)
        around = _within(self.squares, window).astype(np.float32)
        alike = _products(self.waves, tail, len(around))
        left_out = around <= LEAST_POWER * power
        if self.still is not None:
            left_out |= _within(self.still, window) > 0
        around *= np.float32(power)
        alike /= np.sqrt(np.maximum(around, 1, out=around), out=around)
        alike[left_out] = 0
        best = int(alike.argmax())
        before = self.curve[best : best + window].astype(np.float64)
        return Again(tail, before - before.mean(), float(alike[best]), end - window - best)


def _waves(past: Levels, longest: int) -> tuple[npt.NDArray[np.complex64], int]:
    """Return the spectra of a curve's blocks, and their distance: one after the other where `longest` fits in between."""
    step = BLOCK - longest + 1
    blocks = -(-len(past) // step)
    padded = np.zeros((blocks - 1) * step + BLOCK, np.float32)
    padded[: len(past)] = past
    rows = np.lib.stride_tricks.sliding_window_view(padded, BLOCK)[::step]
    return np.asarray(np.fft.rfft(rows), np.complex64), step


def _products(waves: tuple[npt.NDArray[np.complex64], int], tail: Window, count: int) -> Curve:
    """Return the products of a window with the curve from each of its first `count` seconds on."""
    spectra, step = waves
    wave = np.conj(np.fft.rfft(tail, BLOCK)).astype(np.complex64)
    return np.asarray(np.fft.irfft(spectra * wave)[:, :step].reshape(-1)[:count], np.float32)


def _beyond_chance(found: Again) -> float:
    """Return how many standard deviations of chance a correlation is when the half is left out that speaks most for it."""
    half, least = len(found.tail) // 2, math.inf
    for first in (0, half // 2, half):
        tail, before = (np.concatenate([part[:first], part[first + half :]]) for part in (found.tail, found.before))
        tail, before = tail - tail.mean(), before - before.mean()
        least = min(least, _sigmas(_alike(tail, before), tail))
    return least


def _alike(tail: Window, before: Window) -> float:
    """Return the correlation of two windows without their means, 0 where one of them is flat."""
    power = math.sqrt(float(tail @ tail) * float(before @ before))
    return float(tail @ before) / power if power > 0 else 0.0


def _sigmas(alike: float, tail: Window) -> float:
    """Return how many standard deviations of chance a correlation is (Fisher's transform)."""
    if not tail.any():
        return 0.0
    return math.atanh(max(-0.999999, min(alike, 0.999999))) * math.sqrt(max(1.0, _independent(tail) - 3))


def _sums(values: npt.NDArray[np.integer | np.bool_]) -> Sums:
    """Return the sums of all beginnings of a curve."""
    sums = np.zeros(len(values) + 1, np.int32)
    np.cumsum(values, dtype=np.int32, out=sums[1:])
    return sums


def _within(sums: Sums, window: int) -> Sums:
    """Return the sum of each window, from the sums of all beginnings."""
    return sums[window:] - sums[:-window]


def _independent(tail: Window) -> float:
    """Return how many independent values a curve has, by its own correlation (Bartlett)."""
    size = 1 << (2 * len(tail)).bit_length()
    own = np.fft.irfft(np.abs(np.fft.rfft(tail, size)) ** 2, size)[: len(tail) // 2]
    own /= own[0]
    return len(tail) / (1 + 2 * float((own[1:] ** 2).sum()))
