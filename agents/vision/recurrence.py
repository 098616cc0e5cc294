"""Does the stream run as it ran before, encoded anew: what moves in the picture makes frames large, in the same rhythm."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from agents.vision.loop import Frame

BACK_SECONDS = 4.0
"""So far frames may lie behind those before them and belong to the second that is being counted: they come in the order in which they are
decoded, not shown, and a sender's clock that runs fast is laid on ours anew, by three seconds."""

KEPT_SECONDS = 3 * 3600
"""Of one value a second, whether there was a frame, whether the picture stood still, and whether nothing moved: 76 KB a camera."""

ASKED_SECONDS = 10
ASKED_UNMOVED_SECONDS = 30
"""The question costs two milliseconds: it is asked so often, and less often while nothing moves."""

WINDOWS = (40, 60, 90, 150)
"""Seconds at the end of which an earlier time is looked for: lively pictures need few, quiet ones more, or never tell."""

LEAST_LAG = 15
"""Seconds to the earlier time."""

LEAST = {40: ((0.97, 9.0),), 60: ((0.93, 7.0),), 90: ((0.91, 9.0),), 150: ((0.89, 10.0),)}
"""Correlation, and how many standard deviations of chance it is (by Fisher's transform, with as many independent values as
the curves have), for each window: either pair is enough. Fresh noise and another rate
control take a tenth of a real loop's correlation and more; people who are drawn on sine waves reach 0.94, 0.9, 0.88 and 0.88
within 40 hours of cameras (those of the simulators), at 9 to 10.8 deviations."""
LEAST_UNMOVED = {40: (), 60: ((0.95, 12.0),), 90: ((0.92, 11.0),), 150: ((0.9, 10.0),)}
"""The same where nothing moved in the window, as far as looks told: what is left is the encoder's own play with the noise, a few sizes that take
turns, of which 60 s come again by chance within an hour or two."""
STAYS = ((0.75, 6.0),)
"""The same for a loop that is known to go on."""

MOVES_RATIO = 0.004
"""Share of a picture's blocks that change from look to look where somebody moves, far off; of a still room hardly any do."""

LEAST_FRAMES = 0.2
"""A frame counts for the seconds before and after it, the more the nearer: a loop is no whole number of seconds long. So much
of a frame is needed for a second to have a value."""

KNOWN_RATIO = 0.6
"""Of the last minute's seconds must have an inter frame: the rest is filled in, and tells nothing."""

LEAST_POWER = 0.01
"""An earlier time with less movement than this, beside the latest, correlates by chance of its rounding."""

BLOCK = 512
"""Values that are correlated at once, by FFT: several times the longest window."""

ORDER = 16
"""Seconds over which the curve's own rhythm is predicted and taken out: encoders have one, of each group of pictures."""

MOST_SURPRISE = 3.5
"""Medians of what is unexpected: what is more counts as so much, for one large frame at the same place makes two windows alike in which nothing else is."""

SAME_LOOKS = 4
"""A frozen picture is known to be one when it is that of one of so many looks before: what lies between was frozen, too."""

Curve = npt.NDArray[np.float32]
Window = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Bars = tuple[tuple[float, float], ...]


class Recurrence:
    """The stream's activity over the last hours, and where it was the same before."""

    def __init__(self) -> None:
        """Remember nothing yet."""
        self._ring = np.full(KEPT_SECONDS, np.nan, np.float32)
        self._had = np.full(KEPT_SECONDS, False)
        """In which seconds there was an inter frame."""
        self._stood = np.full(KEPT_SECONDS, False)
        """In which seconds the picture stood still: what an encoder makes of that comes again, and is no loop."""
        self._unmoved = np.full(KEPT_SECONDS, False)
        """Which seconds lie between two looks that show the same room, but for its noise."""
        self._looks: deque[int] = deque(maxlen=SAME_LOOKS)
        """The seconds of the latest looks."""
        self._still, self._moved = False, True
        self._second: int | None = None
        self._bytes, self._frames = [0.0, 0.0], [0.0, 0.0]
        """Of inter frames, in the second that is being counted and in the next one."""
        self._inter = False
        """There was an inter frame in the second that is being counted."""
        self._filled = 0
        self._asked, self._answer = 0, False

    def frame(self, at_seconds: float, size: int, *, keyframe: bool) -> None:
        """Take note of one coded frame; keyframes say what the picture is, not what moves in it."""
        self.frames([(at_seconds, size, keyframe)])

    def frames(self, frames: Sequence[Frame]) -> None:
        """Take note of coded frames in their order."""
        for at_seconds, size, keyframe in frames:
            second, late = math.floor(at_seconds), at_seconds % 1
            if second != self._second:
                if self._second is not None and 0 < self._second - at_seconds <= BACK_SECONDS:
                    second, late = self._second, 0.0
                else:
                    self._begin(second)
            if not keyframe:
                early = 1 - late
                sums, counts = self._bytes, self._frames
                sums[0] += early * size
                sums[1] += late * size
                counts[0] += early
                counts[1] += late
                self._inter = True

    def _begin(self, second: int) -> None:
        """End the seconds before this one."""
        if self._second is None or second - self._second > KEPT_SECONDS or second < self._second:
            self._ring[:], self._filled, self._second, self._asked = np.nan, 0, second, second
            self._stood[second % KEPT_SECONDS] = self._unmoved[second % KEPT_SECONDS] = self._inter = False
            self._looks.clear()
        while second > self._second:
            self._close(self._second)

    def _close(self, second: int) -> None:
        """End the second that is being counted."""
        known = self._frames[0] >= LEAST_FRAMES
        self._ring[second % KEPT_SECONDS] = math.log(16 + self._bytes[0] / self._frames[0]) if known else np.nan
        self._filled = min(KEPT_SECONDS, self._filled + 1)
        self._had[second % KEPT_SECONDS] = self._inter
        self._second = second + 1
        self._stood[self._second % KEPT_SECONDS] = self._unmoved[self._second % KEPT_SECONDS] = self._inter = False
        self._bytes, self._frames = [self._bytes[1], 0.0], [self._frames[1], 0.0]

    def looked(self, *, still: bool, moved: bool = True) -> None:
        """Take note of a look at the frames so far.

        It is `still` when it shows the picture of one of the looks before: it was frozen since then, and the last such look is
        followed by frozen time up to the next one at the most. It `moved` when more than noise is new since the last one.
        """
        if self._second is None:
            return
        self._moved = moved
        if self._looks and not moved:
            self._unmoved[_places(self._looks[-1], self._second)] = True
        if self._looks and (still or self._still):
            self._stood[_places(self._looks[0 if still else -1], self._second)] = True
            self._answer = False
        self._still = still
        self._looks.append(self._second)

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
        curve, stood = _surprise(self._ring[order], self._stood[order])
        unmoved = self._unmoved[order]
        return any(
            _enough(best, tail, self._bars(unmoved[-len(tail) :])) for tail, best in recurring(curve, WINDOWS, stood)
        )

    def _bars(self, unmoved: Mask) -> Bars:
        """Return what a window must reach, by its length and by whether anything moved in it."""
        if self._answer:
            return STAYS
        return (LEAST_UNMOVED if unmoved.all() else LEAST)[len(unmoved)]


def _places(first: int, last: int) -> npt.NDArray[np.intp]:
    """Return where the seconds from the first to the last one are kept."""
    return np.arange(max(first, last + 1 - KEPT_SECONDS), last + 1) % KEPT_SECONDS


def _surprise(values: Curve, stood: Mask) -> tuple[Curve, Mask]:
    """Return what each second has that those before it didn't let expect, and which of them hang on still time.

    The curve without its own rhythm: the error of linear prediction (Yule-Walker), so that a rhythm of any period up to
    16 seconds and slow changes go, and what is left of the same video is the same wherever it is cut.
    """
    known = np.isfinite(values) & ~stood
    nothing = np.zeros(0, np.float32), np.zeros(0, np.bool_)
    if known.sum() < 4 * ORDER:
        return nothing
    filled = values.astype(np.float64)
    if not known.all():
        filled = np.interp(np.arange(len(values)), np.flatnonzero(known), values[known])
    filled -= filled.mean()
    own = np.array([np.einsum("i,i", filled[lag:], filled[: len(filled) - lag]) for lag in range(ORDER + 1)])
    if own[0] <= 0:
        return nothing
    own[0] *= 1.001  # a curve that is all rhythm has no unique prediction
    toeplitz = own[np.abs(np.subtract.outer(np.arange(ORDER), np.arange(ORDER)))]
    kernel = np.concatenate([[1.0], -np.linalg.solve(toeplitz, own[1:])])
    error = np.convolve(filled, kernel, "valid")
    hangs = _within(_sums(stood), ORDER + 1) > 0
    most = MOST_SURPRISE * np.median(np.abs(error if hangs.all() else error[~hangs])) + 1e-6
    return np.clip(error, -most, most).astype(np.float32), hangs


def recurring(curve: Curve, windows: Sequence[int], stood: Mask) -> list[tuple[Window, float]]:
    """Return each window at the end of a curve, less its mean, and its correlation with the best earlier time.

    Left out are windows that are longer than what is remembered, and those in which the picture `stood` still, at the end
    or in the past.
    """
    moves_from = int(np.flatnonzero(stood)[-1]) + 1 if stood.any() else LEAST_LAG
    possible = [window for window in windows if window <= len(curve) - max(moves_from, LEAST_LAG)]
    if not possible:
        return []
    past = curve[:-LEAST_LAG]
    sums, squares, still = _sums(past), _sums(past**2), _sums(stood[:-LEAST_LAG]) if stood.any() else None
    waves = _waves(past, max(possible))
    found = list[tuple[Window, float]]()
    for window in possible:
        tail = curve[-window:].astype(np.float64)
        tail -= tail.mean()
        power = float(tail @ tail)
        around = _within(squares, window) - _within(sums, window) ** 2 / window
        lived = around > LEAST_POWER * power
        if still is not None:
            lived &= _within(still, window) == 0
        if power > 0 and lived.any():
            alike = _products(waves, tail, len(around))[lived] / np.sqrt(around[lived] * power)
            found.append((tail, float(alike.max())))
    return found


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


def _enough(best: float, tail: Window, bars: Bars) -> bool:
    """Tell whether a window's correlation is high, and by far more than its own rhythm explains."""
    if best < min((correlation for correlation, _ in bars), default=1.0):
        return False
    sigmas = math.atanh(min(best, 0.999999)) * math.sqrt(max(1.0, _independent(tail) - 3))
    return any(best >= correlation and sigmas >= least for correlation, least in bars)


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
