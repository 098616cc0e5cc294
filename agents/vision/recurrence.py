"""Does the stream run as it ran before, encoded anew: what moves in the picture makes frames large, in the same rhythm."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

KEPT_SECONDS = 3 * 3600
"""Of one value a second, and whether there was a frame: 54 KB a camera."""

ASKED_SECONDS = 15
"""The question costs a millisecond or two: it is asked so often."""

WINDOWS = (40, 60, 90, 150)
"""Seconds at the end of which an earlier time is looked for: lively pictures need few, quiet ones more, or never tell."""

LEAST_LAG = 15
"""Seconds to the earlier time."""

LEAST = ((0.92, 7.0), (0.88, 9.0))
"""Correlation, and how many standard deviations of chance it is (by Fisher's transform, with as many independent values as
the curves have): either pair is enough. A drawn person on two sine waves reaches 0.89 and 8; fresh noise and another rate
control take a tenth of a real loop's correlation, over the more values the surer."""
LEAST_SHORT = ((0.95, 9.0),)
"""The same for a window of less than a minute."""
STAYS = ((0.75, 6.0),)
"""The same for a loop that is known to go on."""

LEAST_FRAMES = 0.2
"""A frame counts for the seconds before and after it, the more the nearer: a loop is no whole number of seconds long. So much
of a frame is needed for a second to have a value."""

KNOWN_RATIO = 0.6
"""Of the last minute's seconds must have an inter frame: the rest is filled in, and tells nothing."""

ORDER = 16
"""Seconds over which the curve's own rhythm is predicted and taken out: encoders have one, of each group of pictures."""

Curve = npt.NDArray[np.float32]
Bars = tuple[tuple[float, float], ...]


class Recurrence:
    """The stream's activity over the last hours, and where it was the same before."""

    def __init__(self) -> None:
        """Remember nothing yet."""
        self._ring = np.full(KEPT_SECONDS, np.nan, np.float32)
        self._had = np.zeros(KEPT_SECONDS, np.bool_)
        """In which seconds there was an inter frame."""
        self._second: int | None = None
        self._bytes, self._frames = [0.0, 0.0], [0.0, 0.0]
        """Of inter frames, in the second that is being counted and in the next one."""
        self._filled = 0
        self._asked, self._answer = 0, False

    def frame(self, at_seconds: float, size: int, *, keyframe: bool) -> None:
        """Take note of one coded frame; keyframes say what the picture is, not what moves in it."""
        second = int(at_seconds)
        if self._second is None or second - self._second > KEPT_SECONDS or second < self._second:
            self._ring[:], self._filled, self._second, self._asked = np.nan, 0, second, second
            self._had[second % KEPT_SECONDS] = False
        while second > self._second:
            self._close(self._second)
        if not keyframe:
            self._had[second % KEPT_SECONDS] = True
            late = at_seconds - second
            for place, share in enumerate((1 - late, late)):
                self._bytes[place] += share * size
                self._frames[place] += share

    def _close(self, second: int) -> None:
        """End the second that is being counted."""
        known = self._frames[0] >= LEAST_FRAMES
        self._ring[second % KEPT_SECONDS] = math.log(16 + self._bytes[0] / self._frames[0]) if known else np.nan
        self._filled = min(KEPT_SECONDS, self._filled + 1)
        self._second = second + 1
        self._had[self._second % KEPT_SECONDS] = False
        self._bytes, self._frames = [self._bytes[1], 0.0], [self._frames[1], 0.0]

    @property
    def looping(self) -> bool:
        """Tell whether the last minutes are an earlier time again."""
        if self._second is not None and self._second - self._asked >= ASKED_SECONDS:
            self._asked, self._answer = self._second, self._recurs(self._second)
        return self._answer

    def _recurs(self, second: int) -> bool:
        order = (second - self._filled + np.arange(self._filled)) % KEPT_SECONDS
        if self._had[order[-60:]].mean() < KNOWN_RATIO:
            return False
        values = self._ring[order]
        curve = _surprise(values)
        return any(
            recurs(curve, window, STAYS if self._answer else LEAST if window >= 60 else LEAST_SHORT)
            for window in WINDOWS
            if len(curve) >= window + LEAST_LAG
        )


def _surprise(values: Curve) -> Curve:
    """Return what each second has that those before it didn't let expect: the curve without its own rhythm.

    The error of linear prediction (Yule-Walker), so that a rhythm of any period up to 16 seconds and slow changes go,
    and what is left of the same video is the same wherever it is cut.
    """
    known = np.isfinite(values)
    if known.sum() < 4 * ORDER:
        return np.zeros(0, np.float32)
    filled = np.interp(np.arange(len(values)), np.flatnonzero(known), values[known])
    filled -= filled.mean()
    own = np.array([filled[lag:] @ filled[: len(filled) - lag] for lag in range(ORDER + 1)])
    if own[0] <= 0:
        return np.zeros(0, np.float32)
    own[0] *= 1.001  # a curve that is all rhythm has no unique prediction
    toeplitz = own[np.abs(np.subtract.outer(np.arange(ORDER), np.arange(ORDER)))]
    kernel = np.concatenate([[1.0], -np.linalg.solve(toeplitz, own[1:])])
    error = np.convolve(filled, kernel, "valid")
    spread = 3 * np.median(np.abs(error)) + 1e-6
    return np.clip(error, -2 * spread, 2 * spread).astype(np.float32)


def recurs(curve: Curve, window: int, bars: Bars = LEAST) -> bool:
    """Tell whether the end of a curve was there before: correlated, and by far more than its own rhythm explains."""
    tail = curve[-window:].astype(np.float64)
    past = curve[:-LEAST_LAG].astype(np.float64)
    tail -= tail.mean()
    power = float(tail @ tail)
    if power <= 0 or len(past) < window:
        return False
    size = 1 << (len(past) + window).bit_length()
    product = np.fft.irfft(np.fft.rfft(past, size) * np.conj(np.fft.rfft(tail, size)), size)[: len(past) - window + 1]
    sums, squares = _running(past, window), _running(past**2, window)
    spread = np.sqrt(np.maximum(squares - sums**2 / window, 1e-9) * power)
    scores = product / spread
    best = float(scores.max())
    if best < min(correlation for correlation, _ in bars):
        return False
    sigmas = math.atanh(min(best, 0.999999)) * math.sqrt(max(1.0, _independent(tail) - 3))
    return any(best >= correlation and sigmas >= least for correlation, least in bars)


def _running(values: npt.NDArray[np.float64], window: int) -> npt.NDArray[np.float64]:
    summed = np.concatenate([[0.0], np.cumsum(values)])
    return np.asarray(summed[window:] - summed[:-window])


def _independent(tail: npt.NDArray[np.float64]) -> float:
    """Return how many independent values a curve has, by its own correlation (Bartlett)."""
    size = 1 << (2 * len(tail)).bit_length()
    own = np.fft.irfft(np.abs(np.fft.rfft(tail, size)) ** 2, size)[: len(tail) // 2]
    own /= own[0]
    return len(tail) / (1 + 2 * float((own[1:] ** 2).sum()))
