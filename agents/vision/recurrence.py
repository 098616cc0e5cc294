"""Does the stream run as it ran before, encoded anew: what moves in the picture makes frames large, in the same rhythm."""

from __future__ import annotations

import math
import threading
from array import array
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import cv2
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

NEVER: Bar = (math.inf, math.inf)

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

LINE = 16
"""Values of a line of the processor's cache."""

PIECE = 64
"""Values that are convolved at once."""

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

OPEN_STEPS = 256
"""So many steps are open at the most, the latest ones: frames may still belong to the last of them."""

MOST_LEVELS = 127
"""A step's value is kept as one of so many levels up or down."""

Moments = npt.NDArray[np.float64]
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
        """The latest one, which is being counted, since the clock's zero."""
        self._base, self._open = 0, np.zeros((2, 2, OPEN_STEPS))
        """The first step that is open; of it and those after it what frames have beyond the usual, and how many there are: at each, and half a step before."""
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
        if not frames:
            return
        times, sizes, keyframes = zip(*frames, strict=True)
        mores = np.array(self._beyond_usual(sizes, keyframes))
        moments = np.array(times) * self._steps
        while len(moments):
            taken = self._take(moments, mores)
            moments, mores = moments[taken:], mores[taken:]
        self._pace += len(frames)

    def _beyond_usual(self, sizes: Sequence[int], keyframes: Sequence[bool]) -> list[float]:
        """Return what each frame has beyond the usual at its place, and let it count as usual."""
        usual, counted, place, last, log = self._usual, self._counted, self._place, PLACES - 1, math.log
        mores = list[float]()
        for size, keyframe in zip(sizes, keyframes, strict=True):
            place = 0 if keyframe else place + 1 if place < last else last
            value, seen = log(16 + size), counted[place]
            if not seen:
                usual[place] = value
            more = value - usual[place]
            if seen < (STEADY if place < last else PLACES):
                seen = counted[place] = seen + 1
            usual[place] += more / seen
            mores.append(more)
        self._place = place
        return mores

    def _take(self, moments: Moments, mores: Moments) -> int:
        """Count frames that lie at such moments, in steps; return how many of them: those before the clock was set, and for which there is room."""
        steps, own = self._steps, np.floor(moments)
        back, kept = BACK_SECONDS * steps, KEPT_SECONDS * steps
        latest = self._step
        if latest is None or latest - moments[0] > back or own[0] - latest > kept:
            latest = int(own[0])
            self._forget(latest)
            # A second that is begun in its midst tells nothing of the pace.
            self._had[latest // steps % KEPT_SECONDS] = True
        newest = np.maximum.accumulate(np.maximum(own, latest))
        before = np.concatenate([[latest], newest[:-1]])
        goes_on = (before - moments <= back) & (own - before <= kept) & (newest - self._base < OPEN_STEPS - 2)
        if not goes_on[0]:
            self._go_to(int(newest[0]))
            self._put()
            return 0
        count = len(own) if goes_on.all() else int(goes_on.argmin())
        own, newest, moments = own[:count], newest[:count], moments[:count]
        # Those that are shown long before the newest one count where that is.
        stray = (newest - own > SHOWN_SECONDS * steps) | (own < self._base)
        if stray.any():
            own, moments = np.where(stray, newest, own), np.where(stray, newest, moments)
        for (sums, counts), apart in zip(self._open, (0.0, 0.5), strict=True):
            _share(sums, counts, moments - (self._base - apart), mores[:count])
        since = latest // steps - math.ceil(SHOWN_SECONDS)
        self._go_to(int(newest[-1]))
        lately = _places(since, int(newest[-1]) // steps)
        had = int(self._had[lately].sum())
        self._had[(own // steps).astype(np.intp) % KEPT_SECONDS] = True
        self._paced += int(self._had[lately].sum()) - had
        return count

    def _go_to(self, step: int) -> None:
        """Go on to a step: those before it have ended, and nothing is known of the seconds that begin."""
        before, steps = self._step, self._steps
        self._step = step
        if before is not None and step // steps > before // steps:
            begun = _places(before // steps + 1, step // steps)
            for known in (self._had, self._stood, self._unmoved):
                known[begun] = False

    def _forget(self, step: int) -> None:
        """Begin with a step."""
        self._step = self._first = self._told = self._base = step
        self._open[:] = 0
        for known in (self._had, self._stood, self._unmoved):
            known[step // self._steps % KEPT_SECONDS] = False
        self._looks.clear()
        self._asked = step // self._steps
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
        curve = _cut(self._curve, first * steps, second * steps, KEPT_SECONDS * steps)
        stood = _cut(self._stood, first, second, KEPT_SECONDS)
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
            if item.alike < MAYBE[0]:
                continue  # as any that is likely has more
            sigmas, seconds = _beyond_chance(item), len(item.tail) // steps
            unmoved = bool(_cut(self._unmoved, second - seconds, second, KEPT_SECONDS).all())
            correlation, least = (LIKELY_UNMOVED if unmoved else LIKELY)[steps].get(seconds, NEVER)
            if item.alike >= correlation and sigmas >= least:
                known = (since for ago, since in self._likely.items() if abs(ago - item.ago) <= 1)
                found[item.ago] = min(known, default=second)
                alike.append(item.alike)
            if sigmas >= MAYBE[1]:
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
        size, ended = LEARNT_SECONDS * self._steps, self._step - self._base
        sums, counts = self._open[:, :, :ended].swapaxes(0, 1)
        values = np.full((2, ended), np.nan, np.float32)
        np.divide(sums, counts, out=values[:, : sums.shape[1]], where=counts >= LEAST_FRAMES, casting="same_kind")
        values = values[:, -size:]
        self._latest[:, np.arange(self._step - values.shape[1], self._step) % size] = values
        done = max(0, ended - round(SHOWN_SECONDS * self._steps))
        left = self._open[:, :, done:].copy()
        self._open[:] = 0
        self._open[:, :, : left.shape[2]] = left
        self._base += done

    def _tell(self, second: int) -> tuple[int, Levels]:
        """Make the curve up to a second, but for what stays.

        Return the first second of which it tells, and the end of the same half a step before: nothing when too little is known.
        """
        self._put()
        steps, order, around = self._steps, ORDER_SECONDS * self._steps, SLOW_SECONDS * self._steps // 2
        begin, end, kept = -(-self._first // steps), second * steps, KEPT_SECONDS * steps
        # One second less than is kept: the step that is being counted may be the last of its own.
        learnt = max(begin, second - LEARNT_SECONDS + 1)
        expected = self._learn(learnt, second)
        start = max(self._told, learnt * steps + order)
        if self._told < start:  # nobody asked for longer than is learnt from
            self._curve[np.arange(max(self._told, start - kept), start) % kept] = 0
        between = np.zeros(0, np.int8)
        if expected is not None:
            # From where the mean around each is that of all there is, so that what is told is the same wherever it begins.
            told = max(learnt * steps + order, min(start, end - max(*LIKELY[steps], GONE_ON_SECONDS) * steps))
            since = max(learnt * steps, told - order - around)
            levels, between = (
                expected.levels(row, stood, steps)[told - order - since :] for row, stood in self._rows(since, end)
            )
            if start < end:
                self._curve[np.arange(start, end) % kept] = levels[start - end :]
                self._told = max(start, end - SETTLED_SECONDS * steps)
        return max(begin + ORDER_SECONDS, second - KEPT_SECONDS + 1), between

    def _rows(self, first: int, end: int) -> Iterator[tuple[Curve, Mask]]:
        """Yield what frames have at the steps from the first one on, and which of these stood still; then half a step before each."""
        steps = self._steps
        stood = np.repeat(_cut(self._stood, first // steps, -(-end // steps), KEPT_SECONDS), steps)[first % steps :]
        for row in self._latest:
            yield _cut(row, first, end, LEARNT_SECONDS * steps), stood[: end - first]

    def _learn(self, first: int, second: int) -> _Expected | None:
        """Return what steps before one let expect, by all from the first second on; None where too little is known."""
        steps, order = self._steps, ORDER_SECONDS * self._steps
        row, stood = next(self._rows(first * steps, second * steps))
        if (np.isfinite(row) & ~stood).sum() < 4 * order:
            return None
        fast = _fast(row, stood, steps)
        most = _usual(fast, MOST_MORE)
        filled = _within_bounds(fast, most)
        own = np.correlate(np.concatenate([filled, np.zeros(order, np.float32)]), filled, "valid").astype(np.float64)
        if own[0] <= 0:
            return None
        own[0] *= 1.001  # a curve that is all rhythm has no unique prediction
        kernel = np.concatenate([[1.0], -np.linalg.solve(own[_apart(order)], own[1:])]).astype(np.float32)
        error, hangs = _convolved(filled, kernel), _hanging(stood, order)[order:]
        return _Expected(kernel, most, _usual(error if hangs.all() else error[~hangs], MOST_SURPRISE))


@dataclass(frozen=True)
class _Expected:
    """What the steps before one let expect: the curve's own rhythm, of any period up to 16 seconds, by linear prediction (Yule-Walker)."""

    kernel: Curve
    """Of the error of prediction: what is left of the same video is the same wherever it is cut."""
    most: np.float32
    """What is more than is slow counts up to this."""
    surprise: np.float32
    """And what is unexpected of it."""

    def levels(self, values: Curve, stood: Mask, steps: int) -> Levels:
        """Return what each step has that those before it didn't let expect, but for the first ones: in levels of the most that counts."""
        filled = _within_bounds(_fast(values, stood, steps), self.most)
        error = _convolved(filled, self.kernel) / self.surprise
        return np.asarray(np.rint(np.clip(error, -1, 1) * MOST_LEVELS), np.int8)


def _convolved(values: Curve, kernel: Curve) -> Curve:
    """Return as `np.convolve` does, in a third of the time, where the kernel lies within the values: piece by piece, all at once as one product."""
    order = len(kernel) - 1
    count = len(values) - order
    pieces = -(-count // PIECE)
    padded = np.zeros(pieces * PIECE + order, np.float32)
    padded[: len(values)] = values
    shifted = np.zeros((PIECE, PIECE + order), np.float32)
    _diagonals(shifted, order + 1)[:] = kernel[::-1]
    rows = np.lib.stride_tricks.as_strided(padded, (pieces, PIECE + order), (4 * PIECE, 4), writeable=False)
    return np.asarray(np.ascontiguousarray(rows) @ shifted.T, np.float32).reshape(-1)[:count]


def _diagonals(rows: Curve, width: int) -> Curve:
    """Return a view of a matrix's diagonals, so many side by side from the first one on: shape (rows, width)."""
    down, along = rows.strides
    return np.lib.stride_tricks.as_strided(rows, (len(rows), width), (down + along, along))


def _share(sums: Moments, counts: Moments, at: Moments, mores: Moments) -> None:
    """Share each frame between the places before and after it, the more the nearer."""
    before = at.astype(np.intp)
    late = at - before
    places, shares = np.concatenate([before, before + 1]), np.concatenate([1 - late, late])
    sums += np.bincount(places, shares * np.concatenate([mores, mores]), len(sums))
    counts += np.bincount(places, shares, len(counts))


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


@lru_cache(maxsize=len(LIKELY))
def _apart(order: int) -> npt.NDArray[np.intp]:
    """Return how far so many values are apart: shape (order, order)."""
    return np.abs(np.subtract.outer(np.arange(order), np.arange(order)))


def _fast(values: Curve, stood: Mask, steps: int) -> Curve:
    """Return what isn't slow of values, those filled in that aren't known."""
    known = np.isfinite(values) & ~stood
    if not known.any():
        return np.zeros(len(values), np.float32)
    if not known.all():
        values = np.interp(np.arange(len(values)), np.flatnonzero(known), values[known]).astype(np.float32)
    return values - _slow(values, SLOW_SECONDS * steps // 2)


def _within_bounds(values: Curve, most: np.float32) -> Curve:
    """Return values of which none is farther from zero than the most."""
    return np.clip(values, -most, most)


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
    """Less its mean."""
    before: Window
    alike: float
    """Their correlation."""
    ago: float
    """So many values before."""


def recurring(
    curve: Levels, tails: Sequence[Levels], windows: Sequence[int], hangs: Mask | None, lag: int
) -> list[Again]:
    """Return for each window at the end of each of `tails` (the second one is half a value behind) the earlier time of a curve, by `lag` values or more, that is most like it.

    Left out are windows that are longer than what is remembered, and those that hang on still time, at the end or in the past.
    """
    moves_from = lag if hangs is None or not hangs.any() else int(np.flatnonzero(hangs)[-1]) + 1
    possible = [window for window in windows if window <= len(curve) - max(moves_from, lag)]
    if not possible:
        return []
    past = _Past.of(curve[:-lag], None if hangs is None else hangs[:-lag])
    ends = np.zeros((len(possible), len(tails), BLOCK), np.float32)
    for window, rows in zip(possible, ends, strict=True):
        for row, values in zip(rows, tails, strict=True):
            row[:window] = values[-window:]
            row[:window] -= row[:window].sum() / window
    found, step = list[Again](), BLOCK - max(possible) + 1
    waves, waves_of_ends = past.waves(step, ends.reshape(-1, BLOCK))
    for window, rows, some in zip(possible, ends, waves_of_ends.reshape(ends.shape), strict=True):
        scale = past.scale(window, len(waves) * step).reshape(-1, step)
        largest = float(scale.max())
        for number, (row, products) in enumerate(zip(rows, _products(waves, some), strict=True)):
            tail = row[:window].astype(np.float64)
            power = float(tail @ tail)
            if power > 0:
                alike, bound = products[:, :step] * scale, 1 / math.sqrt(LEAST_POWER * power)
                if largest >= bound:
                    alike[scale >= bound] = 0
                found.append(past.most_like(tail, power, alike, len(curve) - number / 2))
    return found


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

    @classmethod
    def of(cls, curve: Levels, hangs: Mask | None) -> _Past:
        """Make a curve ready for windows."""
        squares = curve.astype(np.int32)
        squares *= squares
        return cls(curve, _sums(squares), None if hangs is None else _sums(hangs))

    def waves(self, step: int, ends: Curve) -> tuple[Curve, Curve]:
        """Return the spectra of the curve's blocks, so far from one to the next, and those of windows; as OpenCV packs them: shape (blocks, BLOCK)."""
        blocks = -(-len(self.curve) // step)
        padded = np.zeros((blocks - 1) * step + BLOCK, np.float32)
        padded[: len(self.curve)] = self.curve
        both, waves = _ROOM.waves(blocks + len(ends))
        both[:blocks] = np.lib.stride_tricks.as_strided(padded, (blocks, BLOCK), (4 * step, 4), writeable=False)
        both[blocks:] = ends
        cv2.dft(both, waves, cv2.DFT_ROWS)
        return waves[:blocks], waves[blocks:]

    def scale(self, window: int, count: int) -> Curve:
        """Return for `count` windows one divided by the root of what each has of power: 0 for those that are left out, and behind the last one."""
        scale = np.zeros(count, np.float32)
        told = scale[: len(self.squares) - window]
        np.subtract(self.squares[window:], self.squares[:-window], out=told, casting="unsafe")
        np.reciprocal(np.sqrt(np.maximum(told, 1, out=told), out=told), out=told)
        if self.still is not None:
            told[_within(self.still, window) > 0] = 0
        return scale

    def most_like(self, tail: Window, power: float, alike: Curve, end: float) -> Again:
        """Return the time that is most like a window of so much `power` that ends at `end`, of all that it is so much `alike`.

        The mean of these is nearly none: what is slow is out of the curve.
        """
        best, window = int(alike.argmax()), len(tail)
        before = self.curve[best : best + window].astype(np.float64)
        return Again(tail, before, float(alike.flat[best]) / math.sqrt(power), end - window - best)


class _Room(threading.local):
    """Where spectra lie while they are worked on: got anew each time such memory would cost more than all that is done with it."""

    def __init__(self) -> None:
        """Take nothing yet."""
        self._waves = self._products = np.zeros((2, 0, BLOCK), np.float32)

    def waves(self, rows: int) -> tuple[Curve, Curve]:
        """Return room for what is transformed, and for its spectra."""
        if rows > self._waves.shape[1]:
            self._waves = _aligned(rows)
        return self._waves[0, :rows], self._waves[1, :rows]

    def products(self, rows: int) -> tuple[Curve, Curve]:
        """Return room for products of spectra, and for what they are those of."""
        if rows > self._products.shape[1]:
            self._products = _aligned(rows)
        return self._products[0, :rows], self._products[1, :rows]


_ROOM = _Room()


def _aligned(rows: int) -> Curve:
    """Return room, shape (2, rows, BLOCK): the complex values of spectra, from the second one of each row on, lie where the processor likes them."""
    room = np.empty(2 * rows * BLOCK + LINE, np.float32)
    first = (-1 - room.ctypes.data // room.itemsize) % LINE
    return room[first : first + 2 * rows * BLOCK].reshape(2, rows, BLOCK)


def _products(waves: Curve, ends: Curve) -> Curve:
    """Return the products of windows with blocks, at each place of these, by the spectra of both: shape (ends, blocks, BLOCK)."""
    # Of what OpenCV packs the first and the last value are real ones.
    room, products = _ROOM.products(len(ends) * len(waves))
    made = room.reshape(len(ends), *waves.shape)
    made[:, :, :: BLOCK - 1] = waves[:, :: BLOCK - 1] * ends[:, None, :: BLOCK - 1]
    between, some, out = (item[..., 1:-1].view(np.complex64) for item in (waves, ends, made))
    np.multiply(between, some.conj()[:, None], out=out)
    cv2.dft(room, products, cv2.DFT_ROWS | cv2.DFT_INVERSE | cv2.DFT_SCALE)
    return products.reshape(made.shape)


def _beyond_chance(found: Again) -> float:
    """Return how many standard deviations of chance a correlation is when the half is left out that speaks most for it; where that can't be what `MAYBE` asks for, more than it is."""
    tail, before = found.tail, found.before
    half, least = len(tail) // 2, math.inf
    products = np.array([tail, before, tail * tail, before * before, tail * before])
    whole = products.sum(1)
    for first in (0, half // 2, half):
        kept = whole - products[:, first : first + half].sum(1)
        count = len(tail) - half
        one, other, power, power_before, both = kept.tolist()
        power = (power - one * one / count) * (power_before - other * other / count)
        alike = (both - one * other / count) / math.sqrt(power) if power > 0 else 0.0
        most = _sigmas_of(alike, count)
        if most < MAYBE[1]:
            return most
        least = min(least, _sigmas(alike, np.concatenate([tail[:first], tail[first + half :]])))
    return least


def _alike(tail: Window, before: Window) -> float:
    """Return the correlation of two windows without their means, 0 where one of them is flat."""
    power = math.sqrt(float(tail @ tail) * float(before @ before))
    return float(tail @ before) / power if power > 0 else 0.0


def _sigmas(alike: float, tail: Window) -> float:
    """Return how many standard deviations of chance a correlation with a window is; its mean is taken out."""
    tail = tail - tail.mean()
    return _sigmas_of(alike, _independent(tail)) if tail.any() else 0.0


def _sigmas_of(alike: float, independent: float) -> float:
    """Return how many standard deviations of chance a correlation is (Fisher's transform)."""
    return math.atanh(max(-0.999999, min(alike, 0.999999))) * math.sqrt(max(1.0, independent - 3))


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
    own = np.correlate(np.concatenate([tail, np.zeros(len(tail) // 2 - 1)]), tail, "valid")
    own /= own[0]
    return len(tail) / (1 + 2 * float((own[1:] ** 2).sum()))
