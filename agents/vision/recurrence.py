"""Does the stream run as it ran before, encoded anew: what moves in the picture makes frames large, in the same rhythm."""

from __future__ import annotations

import math
from array import array
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from agents.vision.loop import Frame

BACK_SECONDS = 4.0
"""So far frames may lie behind those before them and belong to the second that is being counted: they come in the order in which they are
decoded, not shown, and a sender's clock that runs fast is laid on ours anew, by three seconds."""

KEPT_SECONDS = 3 * 3600
"""Of one value a second, whether there was a frame, whether the picture stood still, and whether nothing moved: 119 KB a camera."""

ASKED_SECONDS = 20
ASKED_UNMOVED_SECONDS = 30
"""The question costs a millisecond and a half: it is asked so often, and less often while nothing moves."""

WINDOWS = (40, 60, 90, 150)
"""Seconds at the end of which an earlier time is looked for: lively pictures need few, quiet ones more, or never tell."""

LEAST_LAG = 15
"""Seconds to the earlier time."""

LEAST = {40: (0.85, 4.9), 60: (0.8, 4.5), 90: (0.76, 4.2), 150: (0.7, 3.8)}
"""Correlation, and how many standard deviations of chance it is (by Fisher's transform, with as many independent values as
the curves have) whichever half of the window is left out: one thing that happens again makes windows alike in which nothing else is."""
LEAST_UNMOVED = {60: (0.85, 4.8), 90: (0.78, 4.8), 150: (0.7, 4.4)}
"""The same where nothing moved in the window, as far as looks told: an encoder's play with the noise comes again by chance for 40 s."""
STAYS = (0.7, 3.5)
"""The same for a loop that is known to go on."""

MOVES_RATIO = 0.004
"""Share of a picture's blocks that change from look to look where somebody moves, far off; of a still room hardly any do."""

LEAST_FRAMES = 0.2
"""A frame counts for the seconds before and after it, the more the nearer: a loop is no whole number of seconds long. So much
of a frame is needed for a second to have a value."""

KNOWN_RATIO = 0.8
"""Of the last minute's seconds must have a frame: the rest is filled in, and tells nothing. Of two pictures in three seconds what is filled in comes again by
chance."""

LEAST_POWER = 0.01
"""An earlier time with less movement than this, beside the latest, correlates by chance of its rounding."""

BLOCK = 512
"""Values that are correlated at once, by FFT: several times the longest window."""

ORDER = 16
"""Seconds over which the curve's own rhythm is predicted and taken out: encoders have one, of each group of pictures."""

MOST_MORE = 5.0
MOST_SURPRISE = 3.5
"""Medians of what frames have beyond the usual, and of what is unexpected of that: what is more counts as so much, for one large frame at the same
place makes two windows alike in which nothing else is."""

SAMPLED = 7
"""Of so many values one tells what is usual: a median of all costs as much as the rest."""

SLOW_SECONDS = 61
"""What changes more slowly is light, or how many people are there, and no rhythm: the mean of so many seconds is taken out. First of all: after
a lamp was switched on all would be more than the usual, and no second differ from the next."""

SAME_LOOKS = 4
"""A frozen picture is known to be one when it is that of one of so many looks before: what lies between was frozen, too."""

PLACES = 1024
"""So many frames of a group of pictures are told apart; those of a longer one, and those before the first keyframe, count as its last."""

STEADY = 16
"""What a frame's size is usually, at its place in the group, is the mean of so many groups or so."""

Curve = npt.NDArray[np.float32]
Window = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Bar = tuple[float, float]


class Recurrence:
    """The stream's activity over the last hours, and where it was the same before."""

    def __init__(self) -> None:
        """Remember nothing yet."""
        self._ring = np.full(KEPT_SECONDS, np.nan, np.float32)
        self._between = np.full(KEPT_SECONDS, np.nan, np.float32)
        """The same half a second before: a loop is no whole number of seconds long."""
        self._had = np.full(KEPT_SECONDS, False)
        """In which seconds there was a frame."""
        self._stood = np.full(KEPT_SECONDS, False)
        """In which seconds the picture stood still: what an encoder makes of that comes again, and is no loop."""
        self._unmoved = np.full(KEPT_SECONDS, False)
        """Which seconds lie between two looks that show the same room, but for its noise."""
        self._looks: deque[int] = deque(maxlen=SAME_LOOKS + 1)
        """The seconds of the latest look and of those before that it may be the same as."""
        self._still, self._moved = False, True
        self._second: int | None = None
        self._usual, self._counted = array("d", bytes(8 * PLACES)), array("H", bytes(2 * PLACES))
        """What the logarithm of a frame's size is at each place of a group of pictures, and how many of them say so."""
        self._place = PLACES - 1
        self._more, self._frames = [0.0, 0.0], [0.0, 0.0]
        """What frames have beyond the usual, and how many there are, in the second that is being counted and in the next one."""
        self._more_between, self._frames_between = [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]
        """The same half a second before this one, the next one and the one after that."""
        self._any = False
        """There was a frame in the second that is being counted."""
        self._filled = 0
        self._asked, self._answer = 0, False

    def frame(self, at_seconds: float, size: int, *, keyframe: bool) -> None:
        """Take note of one coded frame: its time on any steady clock, its size in bytes."""
        self.frames([(at_seconds, size, keyframe)])

    def frames(self, frames: Sequence[Frame]) -> None:
        """Take note of coded frames in their order.

        What moves in the picture makes a frame larger than it usually is at its place in the group of pictures; the rest is the encoder's own rhythm.
        """
        usual, counted, last, log = self._usual, self._counted, PLACES - 1, math.log
        place = self._place
        for at_seconds, size, keyframe in frames:
            place = 0 if keyframe else min(place + 1, last)
            value, seen = log(16 + size), counted[place]
            if not seen:
                usual[place] = value
            more = value - usual[place]
            if seen < (STEADY if place < last else PLACES):
                seen = counted[place] = seen + 1
            usual[place] += more / seen
            second, late = math.floor(at_seconds), at_seconds % 1
            if second != self._second:
                if self._second is not None and 0 < self._second - at_seconds <= BACK_SECONDS:
                    second, late = self._second, 0.0
                else:
                    self._begin(second)
            early = 1 - late
            sums, counts = self._more, self._frames
            sums[0] += early * more
            sums[1] += late * more
            counts[0] += early
            counts[1] += late
            after = 1 if late >= 0.5 else 0
            share = late + 0.5 - after
            sums, counts = self._more_between, self._frames_between
            sums[after] += (1 - share) * more
            sums[after + 1] += share * more
            counts[after] += 1 - share
            counts[after + 1] += share
            self._any = True
        self._place = place

    def _begin(self, second: int) -> None:
        """End the seconds before this one."""
        if self._second is None or second - self._second > KEPT_SECONDS or second < self._second:
            self._between[:] = np.nan
            self._ring[:], self._filled, self._second, self._asked = np.nan, 0, second, second
            self._stood[second % KEPT_SECONDS] = self._unmoved[second % KEPT_SECONDS] = self._any = False
            self._looks.clear()
        while second > self._second:
            self._close(self._second)

    def _close(self, second: int) -> None:
        """End the second that is being counted."""
        place = second % KEPT_SECONDS
        self._ring[place] = self._more[0] / self._frames[0] if self._frames[0] >= LEAST_FRAMES else np.nan
        more, frames = self._more_between, self._frames_between
        self._between[place] = more[0] / frames[0] if frames[0] >= LEAST_FRAMES else np.nan
        self._more_between, self._frames_between = [*more[1:], 0.0], [*frames[1:], 0.0]
        self._filled = min(KEPT_SECONDS, self._filled + 1)
        self._had[second % KEPT_SECONDS] = self._any
        self._second = second + 1
        self._stood[self._second % KEPT_SECONDS] = self._unmoved[self._second % KEPT_SECONDS] = self._any = False
        self._more, self._frames = [self._more[1], 0.0], [self._frames[1], 0.0]

    def looked(self, *, moved: bool = True) -> None:
        """Take note of a look at the frames so far, before `looping` is asked: it `moved` when more than noise is new since the last one."""
        if self._second is None:
            return
        self._moved = moved
        if self._looks and not moved:
            self._unmoved[_places(self._looks[-1], self._second)] = True
        self._looks.append(self._second)

    def stood(self, *, still: bool) -> None:
        """Take note of what the look turned out to be, after it was asked.

        It is `still` when it shows the picture of one of the looks before: it was frozen since then, and the last such look is
        followed by frozen time up to the next one at the most.
        """
        if self._second is None or not self._looks:
            return
        if len(self._looks) > 1 and (still or self._still):
            self._stood[_places(self._looks[0 if still else -2], self._second)] = True
            self._answer = False
        self._still = still

    @property
    def looping(self) -> bool:
        """Tell whether the last minutes are an earlier time again."""
        every = ASKED_SECONDS if self._moved or self._answer else ASKED_UNMOVED_SECONDS
        if self._second is not None and self._second - self._asked >= every:
            self._asked, self._answer = self._second, self._recurs(self._second)
        return self._answer

    def _recurs(self, second: int) -> bool:
        order = (second - self._filled + np.arange(self._filled)) % KEPT_SECONDS
        if self._had[order[-60:]].mean() < KNOWN_RATIO:
            return False
        stood = self._stood[order]
        curve, hangs = _surprise(self._ring[order], stood)
        between, _ = _surprise(self._between[order], stood)
        unmoved = self._unmoved[order]
        return any(
            _enough(found, self._bar(unmoved[-len(found.tail) :]))
            for found in recurring(curve, WINDOWS, hangs, between)
        )

    def _bar(self, unmoved: Mask) -> Bar | None:
        """Return what a window must reach, by its length and by whether anything moved in it."""
        if self._answer:
            return STAYS
        return (LEAST_UNMOVED if unmoved.all() else LEAST).get(len(unmoved))


def _places(first: int, last: int) -> npt.NDArray[np.intp]:
    """Return where the seconds from the first to the last one are kept."""
    return np.arange(max(first, last + 1 - KEPT_SECONDS), last + 1) % KEPT_SECONDS


def _surprise(values: Curve, stood: Mask) -> tuple[Curve, Mask]:
    """Return what each second has that those before it didn't let expect, and which of them hang on still time.

    The curve without what is slow and without its own rhythm: the error of linear prediction (Yule-Walker), so that a
    rhythm of any period up to 16 seconds goes, and what is left of the same video is the same wherever it is cut.
    """
    known = np.isfinite(values) & ~stood
    nothing = np.zeros(0, np.float32), np.zeros(0, np.bool_)
    if known.sum() < 4 * ORDER:
        return nothing
    filled = values
    if not known.all():
        filled = np.interp(np.arange(len(values)), np.flatnonzero(known), values[known]).astype(np.float32)
    filled = _clipped(filled - _slow(filled), MOST_MORE)
    own = np.array([np.dot(filled[lag:], filled[: len(filled) - lag]) for lag in range(ORDER + 1)], np.float64)
    if own[0] <= 0:
        return nothing
    own[0] *= 1.001  # a curve that is all rhythm has no unique prediction
    toeplitz = own[np.abs(np.subtract.outer(np.arange(ORDER), np.arange(ORDER)))]
    kernel = np.concatenate([[1.0], -np.linalg.solve(toeplitz, own[1:])]).astype(np.float32)
    error = np.convolve(filled, kernel, "valid")
    if not stood.any():
        return _clipped(error, MOST_SURPRISE), stood[ORDER:]
    hangs = _within(_sums(stood), ORDER + 1) > 0
    return _clipped(error, MOST_SURPRISE, error if hangs.all() else error[~hangs]), hangs


def _clipped(values: Curve, most: float, counting: Curve | None = None) -> Curve:
    """Return values of which none is more than so many times the median distance from zero of those that count."""
    counted = values if counting is None else counting
    bound = most * np.median(np.abs(counted[:: SAMPLED if len(counted) > SAMPLED * LEAST_LAG else 1])) + 1e-6
    return np.asarray(np.clip(values, -bound, bound), np.float32)


def _slow(values: Curve) -> Curve:
    """Return the mean of the seconds around each."""
    half = SLOW_SECONDS // 2
    sums = np.cumsum(np.concatenate([np.zeros(half + 1), values, np.zeros(half)]), dtype=np.float64)
    around = np.full(len(values), float(SLOW_SECONDS))
    edge = np.arange(half + 1, SLOW_SECONDS)[: len(values)]
    around[: len(edge)] = edge
    around[len(values) - len(edge) :] = np.minimum(edge[::-1], around[len(values) - len(edge) :])
    return np.asarray((sums[SLOW_SECONDS:] - sums[:-SLOW_SECONDS]) / around, np.float32)


@dataclass(frozen=True)
class Again:
    """The end of a curve, and the earlier time that is most like it."""

    tail: Window
    """Less its mean, as the earlier one."""
    before: Window
    alike: float
    """Their correlation."""


def recurring(curve: Curve, windows: Sequence[int], stood: Mask, between: Curve | None = None) -> list[Again]:
    """Return for each window at the end of a curve the earlier time that is most like it.

    Left out are windows that are longer than what is remembered, and those in which the picture `stood` still, at the end
    or in the past. `between` is the past by values half a second before those of the curve.
    """
    moves_from = int(np.flatnonzero(stood)[-1]) + 1 if stood.any() else LEAST_LAG
    possible = [window for window in windows if window <= len(curve) - max(moves_from, LEAST_LAG)]
    if not possible:
        return []
    still = _sums(stood[:-LEAST_LAG]) if stood.any() else None
    pasts = [
        _Past.of(item[:-LEAST_LAG], max(possible))
        for item in (curve, between)
        if item is not None and len(item) == len(curve)
    ]
    found = list[Again]()
    for window in possible:
        tail = curve[-window:].astype(np.float64)
        tail -= tail.mean()
        power = float(tail @ tail)
        if power > 0:
            most = max((past.most_like(tail, power, still) for past in pasts), key=lambda item: item.alike)
            found.append(most)
    return found


@dataclass(frozen=True)
class _Past:
    """What a window is held against."""

    curve: Curve
    sums: Window
    squares: Window
    waves: tuple[npt.NDArray[np.complex64], int]

    @classmethod
    def of(cls, curve: Curve, longest: int) -> _Past:
        """Make a curve ready for windows of up to `longest` seconds."""
        return cls(curve, _sums(curve), _sums(curve**2), _waves(curve, longest))

    def most_like(self, tail: Window, power: float, still: Window | None) -> Again:
        """Return the time that is most like a window of so much `power`; `still` are the sums of what stood."""
        window = len(tail)
        around = _within(self.squares, window) - _within(self.sums, window) ** 2 / window
        alike = _products(self.waves, tail, len(around))
        alike /= np.sqrt(np.maximum(around, LEAST_POWER * power) * power)
        left_out = around <= LEAST_POWER * power
        if still is not None:
            left_out |= _within(still, window) > 0
        alike[left_out] = 0
        best = int(alike.argmax())
        before = self.curve[best : best + window].astype(np.float64)
        return Again(tail, before - before.mean(), float(alike[best]))


def _waves(past: Curve, longest: int) -> tuple[npt.NDArray[np.complex64], int]:
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


def _enough(found: Again, bar: Bar | None) -> bool:
    """Tell whether a window's correlation is high, and by far more than its own rhythm or a part of it explains."""
    if bar is None:
        return False
    correlation, sigmas = bar
    return found.alike >= correlation and _beyond_chance(found) >= sigmas


def _beyond_chance(found: Again) -> float:
    """Return how many standard deviations of chance a correlation is when the half is left out that speaks most for it."""
    half, least = len(found.tail) // 2, math.inf
    for first in (0, half // 2, half):
        tail, before = (np.delete(part, slice(first, first + half)) for part in (found.tail, found.before))
        tail, before = tail - tail.mean(), before - before.mean()
        power = math.sqrt(float(tail @ tail) * float(before @ before))
        if power <= 0:
            return 0.0
        alike = float(tail @ before) / power
        least = min(
            least, math.atanh(max(-0.999999, min(alike, 0.999999))) * math.sqrt(max(1.0, _independent(tail) - 3))
        )
    return least


def _sums(values: npt.NDArray[np.generic]) -> Window:
    """Return the sums of all beginnings of a curve."""
    return np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])


def _within(sums: Window, window: int) -> Window:
    """Return the sum of each window, from the sums of all beginnings."""
    return np.asarray(sums[window:] - sums[:-window])


def _independent(tail: Window) -> float:
    """Return how many independent values a curve has, by its own correlation (Bartlett)."""
    size = 1 << (2 * len(tail)).bit_length()
    own = np.fft.irfft(np.abs(np.fft.rfft(tail, size)) ** 2, size)[: len(tail) // 2]
    own /= own[0]
    return len(tail) / (1 + 2 * float((own[1:] ** 2).sum()))
