"""Is the picture damaged by lost data: seams along the codec's grid, smeared blocks, blocks of a decoder's grey or green."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from agents.vision.cells import Cells
from agents.vision.levels import ENOUGH_ROWS
from agents.vision.picture import Plane
from agents.vision.strips import BLOCK

ENOUGH_BANDS = 18
"""Of a larger picture than 576 rows not all bands are looked at."""
STRONG_STEP = 14
"""Levels between two neighbouring pixels that no deblocking filter leaves standing without an edge in the picture."""
TEXTURE_STEP = 0.3
"""A patch whose neighbouring pixels differ by as much within its rows has something that can be drawn out."""
GREY_STEP, GREY_ON_RATIO = 8, 0.5
"""Where half of a grey part's edges have grey beyond them by so many levels, it is no decoder's."""
DRAWN_SHARE, DRAWN_STEP = 0.25, 0.15
"""From row to row it then differs by this share of that, or by this step, at most."""
BETWEEN_SHARE, BETWEEN_STEP = 0.15, 1.5
"""A row of blocks lies between those above and below it where it is as near to half-way, of a change across by so many levels."""
BETWEEN_MOST = 16
"""Levels that each block of a row counts for at the most: the upright edge of a flat patch is a hundred in two blocks, and would speak for the whole row."""
DRAWN_RATIO, TEXTURED_RATIO = 0.7, 0.15
"""Of the width of a band must be drawn out, and with texture: lost data is lost to the end of a row."""


@dataclass(frozen=True)
class Smear:
    """What damage looks like."""

    seam_ratio: float
    """How many times as many strong steps lie on the grid of macroblocks as beside it; 1 in a whole picture."""
    seam_share: float
    """Share of the grid's pixels that lie on a strong step, less what lies beside the grid."""
    smeared_ratio: float
    """Share of bands of the picture that are one row drawn out."""
    void_ratio: float
    """Share of blocks of exactly the grey or green that a decoder begins with."""
    between_ratio: float
    """Share of rows of blocks that lie half-way between the row above and the row below, though much changes across them."""


def smear(luma: Plane, cells: Cells) -> Smear:
    """Measure a luma plane, and the means of the picture's blocks."""
    every = max(1, round(luma.shape[0] / ENOUGH_ROWS))  # lines that run down cost a cache line for each pixel
    on_x, off_x = _strong(luma[::every], axis=1)
    on_y, off_y = _strong(luma, axis=0)
    on, off = (on_x + on_y) / 2, (off_x + off_y) / 2
    return Smear(
        seam_ratio=(on + 0.002) / (off + 0.002),
        seam_share=max(0.0, on - off),
        smeared_ratio=_smeared(luma),
        void_ratio=_void(luma, cells),
        between_ratio=_between(cells),
    )


def _strong(luma: Plane, axis: int) -> tuple[float, float]:
    """Return the share of strong steps between the lines of neighbouring macroblocks, rows (axis 0) or columns (1), and between lines half-way."""
    found = []
    for first in (BLOCK - 1, BLOCK // 2 - 2):
        last = luma.shape[axis] - 1
        one, other = (
            luma[at:to:BLOCK] if axis == 0 else np.ascontiguousarray(luma[:, at:to:BLOCK])
            for at, to in ((first, last), (first + 1, last + 1))
        )
        steps = cv2.absdiff(one, other)
        found.append(np.count_nonzero(steps >= STRONG_STEP) / steps.size if one.size else 0.0)
    return found[0], found[1]


def _smeared(luma: Plane) -> float:
    """Return the share of bands, two macroblocks high, that are one row drawn out over most of the width.

    A block or a patch so drawn out is a low bit rate's way to save, or a striped cloth.
    """
    high, columns = 2 * BLOCK, 16
    rows, wide = luma.shape[0] // high, luma.shape[1] // columns
    if not rows or wide < BLOCK // 2:
        return 0.0
    every = max(1, round(rows / ENOUGH_BANDS))
    whole = luma[: rows * high, : columns * wide]
    lines = np.ascontiguousarray(whole.reshape(rows, high, -1)[::every, ::4]).reshape(-1, columns * wide)
    # Of four pixels the first is a word's low byte: many times as fast as to pick it.
    some_columns = whole.view("<u4").reshape(rows, high, -1)[::every].astype(np.uint8)
    x = _patches(cv2.absdiff(lines[:, :-1], lines[:, 1:]).reshape(len(some_columns), high // 4, -1), columns)
    y = _patches(cv2.absdiff(some_columns[:, :-1], some_columns[:, 1:]), columns)
    drawn = y <= np.maximum(DRAWN_SHARE * x, DRAWN_STEP)
    textured = drawn & (x >= TEXTURE_STEP)
    drawn_ratios, textured_ratios = (np.add.reduce(some, axis=1, dtype=np.intp) / columns for some in (drawn, textured))
    found = (drawn_ratios >= DRAWN_RATIO) & (textured_ratios >= TEXTURED_RATIO)
    return np.count_nonzero(found) / len(found)


def _patches(steps: npt.NDArray[Any], columns: int) -> npt.NDArray[np.float32]:
    """Return the mean of each patch of bands, shape (bands, rows of a band, width): (bands, columns)."""
    lines = np.add.reduce(steps, axis=1, dtype=np.uint16).astype(np.float32)
    lines /= steps.shape[1]
    return np.asarray(cv2.resize(lines, (columns, len(steps)), interpolation=cv2.INTER_AREA), np.float32)


def _between(cells: Cells) -> float:
    """Return the share of rows of blocks that are half-way between their neighbours.

    Decoders fill lost rows from what is left above and below: softly downwards, with all the columns' differences across. What lies before a lens
    is as smooth either way, but for a cloth that hangs in folds, and has an edge at its ends alone.
    """
    y = cells.y.astype(np.int16)
    if min(y.shape) < 3:
        return 0.0
    twice = 2 * y[1:-1, 1:-1]
    off_down, off_across = (
        np.abs(one + other - twice) for one, other in ((y[2:, 1:-1], y[:-2, 1:-1]), (y[1:-1, 2:], y[1:-1, :-2]))
    )
    np.minimum(off_across, BETWEEN_MOST, out=off_across)
    down, across = (np.add.reduce(off, axis=1, dtype=np.intp) / off.shape[1] for off in (off_down, off_across))
    found = (down <= BETWEEN_SHARE * across) & (across >= BETWEEN_STEP)
    return np.count_nonzero(found) / len(found)


def _void(luma: Plane, cells: Cells) -> float:
    """Return the share of blocks that are grey or green to a level in all three planes."""
    grey = _grey(cells.u, 1)
    grey &= _grey(cells.v, 1)
    grey &= _grey(cells.y, 3)
    green = np.maximum(cells.u, cells.v) <= 24
    if not (grey.any() or green.any()) or min(luma.shape) < BLOCK:
        return 0.0
    flat = _flat(luma)
    grey, green = grey & flat, green & flat
    return float((green | grey if _on_grid(luma, grey) else green).mean())


def _grey(plane: Plane, levels: int) -> npt.NDArray[np.bool_]:
    """Tell which cells are so few levels from 128; what is darker wraps around, and is far above."""
    return np.asarray(plane - np.uint8(128 - levels) <= 2 * levels, np.bool_)


def _on_grid(luma: Plane, grey: npt.NDArray[np.bool_]) -> bool:
    """Tell whether grey blocks end where macroblocks end: something grey before the lens goes on into the next ones."""
    ends = [*_beyond(luma, grey), *_beyond(luma.T, grey.T)]
    goes_on = sum(int(np.abs(line.astype(np.int16) - 128).max()) <= GREY_STEP for line in ends)
    return goes_on <= GREY_ON_RATIO * len(ends)


def _beyond(luma: Plane, grey: npt.NDArray[np.bool_]) -> Iterator[Plane]:
    """Yield, for each side edge between a grey block and another, the second line of pixels beyond it."""
    for row, column in np.argwhere(grey[:, :-1] != grey[:, 1:]):
        first = (column + 1) * BLOCK
        place = first + 1 if grey[row, column] else first - 2
        yield luma[row * BLOCK : (row + 1) * BLOCK, place]


def _flat(luma: Plane) -> npt.NDArray[np.bool_]:
    kernel = np.ones((BLOCK, BLOCK), np.uint8)
    whole = luma[: luma.shape[0] // BLOCK * BLOCK, : luma.shape[1] // BLOCK * BLOCK]
    highest, lowest = (which(whole, kernel, anchor=(0, 0))[::BLOCK, ::BLOCK] for which in (cv2.dilate, cv2.erode))
    return np.asarray(cv2.subtract(highest, lowest) <= 3, np.bool_)
