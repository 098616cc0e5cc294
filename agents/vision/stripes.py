"""Is there a regular pattern over the whole picture: one frequency that stands out of all others, or bars that roll."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from agents.vision.cells import Cells
from agents.vision.picture import Plane
from agents.vision.quantile import quantiles

SIDE = 256
"""The picture is reduced to 256 x 256: a pattern of six pixels in 704 is still there."""
SLOWEST = 6
"""Cycles a picture; slower ones are light and shade, and the frame of a door."""
AROUND, PEAK = 17, 5
"""Sides of the neighbourhood, in frequencies, out of which a pattern has to stand, and of its own peak in the middle."""
LITTLE_RATIO = 1.5
"""By so little a picture is reduced as well between neighbouring pixels as by means, in a fifth of the time."""
CLEAR_RATIO = 5.0
"""Square waves have overtones, which stand out the more, the fainter the rest is up there: the loudest that stands out by
so much is asked, too, and the more even one counts."""
FLOOR_LEVEL = 0.05
"""Levels: in an empty spectrum anything would stand out."""


@dataclass(frozen=True)
class Stripes:
    """The strongest regular pattern."""

    stripe_level: float
    """Its amplitude in levels of luma, which three quarters of the picture's parts reach."""
    stripe_ratio: float
    """How far it stands out from the frequencies around it."""
    stripe_even: float
    """The least of its amplitudes, a quarter left out, in units of the most: interference is the same everywhere."""
    roll_level: float | None
    """Amplitude in levels of the wave of few cycles by which the rows differ from the last look's; None without one."""
    roll_share: float | None
    """Share of all that the rows changed by which is that wave, the same in each quarter of the width."""


Profile = npt.NDArray[np.float32]
"""Mean luma of 64 rows in each quarter of the width: shape (64, 4)."""


def profile(cells: Cells) -> Profile:
    """Average a picture's blocks to the rows that rolling bars show in."""
    quarters = cv2.resize(cells.y.astype(np.float32), (4, cells.y.shape[0]), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(quarters, (4, 64), interpolation=cv2.INTER_LINEAR), np.float32)


def _rolling(rows: Profile, before: Profile | None) -> tuple[float | None, float | None]:
    """Return (amplitude, share) of the best wave of 1.25 to 4 cycles in the change of the rows.

    Mains hum makes bars over all of the width that move from look to look; people and lamps don't.
    """
    if before is None:
        return None, None
    change = rows - before
    change -= np.add.reduce(change, axis=0) / np.float32(len(change))
    power = float(np.add.reduce(change**2, axis=None))
    if power < change.size:  # less than a level
        return 0.0, 0.0
    common = np.add.reduce(change, axis=1) / np.float32(change.shape[1])
    fits = _WAVES @ common
    energy = np.add.reduce(fits**2, axis=1)
    best = int(energy.argmax())
    return float(np.sqrt(energy[best] * 2 / len(common))), float(energy[best]) * change.shape[1] / power


def _waves() -> npt.NDArray[np.float32]:
    """Return pairs of orthonormal waves over 64 rows without a mean: shape (frequencies, 2, 64)."""
    turns = 2 * np.pi * (np.arange(64) + 0.5) / 64
    pairs = []
    for cycles in np.arange(1.25, 4.01, 0.25):
        pair = np.stack([np.cos(cycles * turns), np.sin(cycles * turns)])
        pairs.append(np.linalg.qr((pair - pair.mean(axis=1, keepdims=True)).T)[0].T)
    return np.asarray(pairs, np.float32)


_WAVES = _waves()


def stripes(luma: Plane, rows: Profile, before: Profile | None) -> Stripes:
    """Measure a luma plane; `rows` is its profile, `before` that of the look before.

    The longer a pattern goes on, the narrower its peak: interference goes over all of the picture at one frequency,
    blinds, a fence or a tiled floor over a part of it, bent by perspective and by the lens. So the strongest peak is
    looked for, and then how strong the same frequency is in each part.
    """
    if min(luma.shape) < 2 * SLOWEST:
        return Stripes(0.0, 0.0, 0.0, None, None)
    whole = max(1, min(luma.shape) // SIDE)  # whole pixels first: several times as fast
    size = (luma.shape[1] // whole, luma.shape[0] // whole)
    reduced = cv2.resize(luma[: size[1] * whole, : size[0] * whole], size, interpolation=cv2.INTER_AREA)
    method = cv2.INTER_LINEAR if max(size) <= LITTLE_RATIO * SIDE else cv2.INTER_AREA
    square = cv2.resize(reduced, (SIDE, SIDE), interpolation=method)
    small = square.astype(np.float32)
    small -= np.float32(cv2.mean(square)[0])
    level = spectrum(small)
    far = np.asarray(cv2.boxFilter(level, -1, (AROUND, AROUND), normalize=False), np.float32)
    near = cv2.sepFilter2D(level, -1, _PEAK, _PEAK)  # so small a window is slid faster than it is summed
    around = np.subtract(far, near, out=far)
    around /= AROUND**2 - PEAK**2
    around += FLOOR_LEVEL
    standing = np.divide(level, around, out=around)
    standing[_SLOW] *= _TELLING
    place = int(standing.argmax())
    places = {place}
    if standing.flat[place] >= CLEAR_RATIO:
        places.add(int(np.multiply(level, standing >= CLEAR_RATIO).argmax()))
    found = [_pattern(small, standing, place) for place in sorted(places)]
    return Stripes(*max(found, key=lambda item: item[0] * item[2]), *_rolling(rows, before))


def spectrum(small: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the amplitude in levels of each frequency: shape (256, 128), downwards from -128 on, across from 0 on.

    The transform of a real picture in OpenCV's packed form, at an eighth of the complex one's time: real and imaginary parts take turns
    across; of those that run down alone, which are their own mirror image, half take turns downwards in the first column.
    """
    packed = cv2.dft(small * _WINDOW)
    half = SIDE // 2
    magnitude = np.empty((SIDE, half), np.float32)
    magnitude[:, 1:] = cv2.magnitude(packed[:, 1:-1:2], packed[:, 2:-1:2])
    down = magnitude[:, 0]
    down[0], down[half] = abs(packed[0, 0]), abs(packed[-1, 0])
    down[1:half] = np.hypot(packed[1:-1:2, 0], packed[2:-1:2, 0])
    down[half + 1 :] = down[half - 1 : 0 : -1]
    return np.concatenate([magnitude[half:], magnitude[:half]])


def _pattern(
    small: npt.NDArray[np.float32], standing: npt.NDArray[np.float32], place: int
) -> tuple[float, float, float]:
    """Return (level, ratio, evenness) of the frequency at one place of the spectrum."""
    row, column = divmod(place, standing.shape[1])
    least, most = quantiles(_local_levels(small, row - SIDE // 2, column), 0.25, 0.9)
    return least, float(standing[row, column]), least / (most + FLOOR_LEVEL)


def _local_levels(small: npt.NDArray[np.float32], down: int, across: int) -> npt.NDArray[np.float32]:
    """Return the amplitude of one frequency (cycles a picture) in each of 5 x 5 parts."""
    rows, columns, half = np.empty((3, 2 * len(_PARTS), SIDE), np.float32)
    parts = len(_PARTS)
    for waves, cycles in ((rows, down), (columns, across)):
        np.multiply(_PARTS, np.cos(cycles * _TURNS), out=waves[:parts])
        np.multiply(_PARTS, np.sin(cycles * _TURNS), out=waves[parts:])
    # Four rows at a time: for larger products NumPy takes a second thread, which would only make the machine busy.
    for first in range(0, len(rows), 4):
        np.matmul(rows[first : first + 4], small, out=half[first : first + 4])
    product = half @ columns.T
    real = product[:parts, :parts] - product[parts:, parts:]
    imaginary = product[:parts, parts:] + product[parts:, :parts]
    return np.asarray(2 * np.hypot(real, imaginary), np.float32)


_WINDOW: npt.NDArray[np.float32] = np.outer(np.hanning(SIDE), np.hanning(SIDE)).astype(np.float32)
_WINDOW /= _WINDOW.sum() / 2
"""A sine of one level has the magnitude 1 in the spectrum."""

_PEAK: npt.NDArray[np.float32] = np.ones(PEAK, np.float32)
_TURNS: npt.NDArray[np.float32] = np.arange(SIDE, dtype=np.float32) * np.float32(2 * np.pi / SIDE)

_SLOW = slice(SIDE // 2 - SLOWEST, SIDE // 2 + SLOWEST), slice(SLOWEST)
"""Where the slower frequencies lie in a spectrum, and some that tell."""
_TELLING: npt.NDArray[np.float32] = (
    np.hypot(np.arange(SLOWEST)[None, :], np.arange(-SLOWEST, SLOWEST)[:, None]) >= SLOWEST
).astype(np.float32)

_PART = 96
_PARTS: npt.NDArray[np.float32] = np.zeros((5, SIDE), np.float32)
"""Windows of 96 of the 256 lines, each of sum 1."""
for _number, _first in enumerate(np.linspace(0, SIDE - _PART, 5).astype(int)):
    _PARTS[_number, _first : _first + _PART] = np.hanning(_PART) / np.hanning(_PART).sum()
