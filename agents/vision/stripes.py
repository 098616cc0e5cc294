"""Is there a regular pattern over the whole picture: one frequency that stands out in most parts of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from agents.vision.picture import Plane

TILE = 64
"""Side of a part in pixels of the reduced picture."""
WIDTHS = 352
"""The picture is reduced to this width or less: a pattern of four pixels in 704 is still there."""
NEAREST = 2
"""Frequencies (cycles a tile) below this are light and shade."""


@dataclass(frozen=True)
class Stripes:
    """The strongest regular pattern."""

    stripe_level: float
    """Its amplitude in levels of luma."""
    stripe_ratio: float
    """How far it stands out from the frequencies around it."""


def stripes(luma: Plane) -> Stripes:
    """Measure a luma plane.

    Each part's spectrum is taken, and of each frequency the median over the parts: a fence, blinds or a tiled floor
    are in some parts, and bent by perspective; interference is in all, at one frequency.
    """
    import cv2

    factor = max(1, -(-luma.shape[1] // WIDTHS))
    size = (luma.shape[1] // factor, luma.shape[0] // factor)
    small = luma if factor == 1 else cv2.resize(luma, size, interpolation=cv2.INTER_AREA)
    rows, columns = small.shape[0] // TILE, small.shape[1] // TILE
    if rows * columns < 4:
        return Stripes(0.0, 0.0)
    top, left = (small.shape[0] - rows * TILE) // 2, (small.shape[1] - columns * TILE) // 2
    whole = small[top : top + rows * TILE, left : left + columns * TILE].astype(np.float32)
    tiles = whole.reshape(rows, TILE, columns, TILE).swapaxes(1, 2).reshape(-1, TILE, TILE)
    tiles = (tiles - tiles.mean(axis=(1, 2), keepdims=True)) * _WINDOW
    spectrum = np.median(np.abs(np.fft.rfft2(tiles)), axis=0).astype(np.float32)
    around = cv2.medianBlur(np.ascontiguousarray(np.fft.fftshift(spectrum, axes=0)), 5)
    standing = np.fft.fftshift(spectrum, axes=0) / (around + _WINDOW_GAIN * FLOOR_LEVEL)
    standing[~_telling(factor)] = 0.0
    best = int(standing.argmax())
    level = float(np.fft.fftshift(spectrum, axes=0).reshape(-1)[best]) / _WINDOW_GAIN
    return Stripes(level, float(standing.reshape(-1)[best]))


FLOOR_LEVEL = 0.15
"""Levels: in an empty spectrum anything would stand out."""

_WINDOW: npt.NDArray[np.float32] = np.outer(np.hanning(TILE), np.hanning(TILE)).astype(np.float32)
_WINDOW_GAIN = float(_WINDOW.sum()) / 2
"""A sine of one level has this magnitude in the spectrum."""


def _telling(factor: int) -> npt.NDArray[np.bool_]:
    """Return which frequencies count, shape (64, 33), the rows shifted: neither slow ones nor the encoder's own grid.

    The seams of blocks of 8 and 16 pixels are a regular pattern along the axes, too.
    """
    across = np.arange(TILE // 2 + 1)[None, :]
    down = np.abs(np.arange(-TILE // 2, TILE // 2))[:, None]
    grid = TILE * factor / 16
    on_axis = (np.minimum(across, down) <= 1).astype(bool)
    along = np.maximum(across, down)
    off = np.abs(along / grid - np.round(along / grid)) * grid
    seams = on_axis & (off <= 1.0) & (along >= grid - 1)
    return np.asarray((np.hypot(across, down) >= NEAREST) & ~seams, np.bool_)
