"""By how far a picture lies beside an earlier one, of which an imprint alone was kept: a camera that comes by again is never quite where it was."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from agents.vision.imprint import AROUND, LEAST_SIDE, MOST_LEVEL, Fine, Imprint, fine, places
from agents.vision.picture import Plane
from agents.vision.strips import BLOCK

RIGHT, DOWN = 12, 8
"""So far the earlier picture is looked for, in pixels: a row of macroblocks has no more rows, and a camera that turns to a preset misses it by less."""

LEAST_ALIKE = 0.5
"""Correlation of what is shown there: with less it is another view, or one that is passed by quickly."""

MOST_ELSEWHERE = 0.95
"""Of that correlation elsewhere at the most: a fence is as much alike at each of its bars."""
BESIDE = 2
"""Pixels: what is nearer is not elsewhere."""

MOST_ERROR = 0.15
"""Pixels of deviation, as least squares have it (what two encoders did to a picture makes it twice as much): along the edges of boards nothing tells."""

STEPS = 3
"""By so many the place is told to parts of a pixel, each from where the one before found it."""

LEAST_PLACES = 64

LEAST_KEPT = 0.25
"""Share of an earlier picture's contrast: with less the slope by which parts of a pixel are told is an encoder's."""


class Offset(NamedTuple):
    """Where a picture lies beside an earlier one, in pixels and parts of them."""

    right: float
    down: float
    alike: float
    """Correlation of what is shown there."""


def offset(strips: Plane, earlier: Imprint) -> Offset | None:
    """Return where the picture of these strips, (16 n, 16 m), lies beside the one that left an imprint.

    None where it shows another view, where what it shows doesn't tell, and for a picture that is too small.
    """
    if min(strips.shape) < LEAST_SIDE:
        return None
    seen, (rows, columns) = fine(strips), places(*strips.shape)
    found = _alike(np.clip(seen, -MOST_LEVEL, MOST_LEVEL), earlier, rows, columns)
    line, column = (int(place) for place in np.unravel_index(int(found.argmax()), found.shape))
    best = float(found[line, column])
    found[max(0, line - BESIDE) : line + BESIDE + 1, max(0, column - BESIDE) : column + BESIDE + 1] = 0
    if best < LEAST_ALIKE or found.max() > MOST_ELSEWHERE * best:
        return None
    part: tuple[float, float] | None = float(column - RIGHT), float(line - DOWN)
    for _ in range(STEPS):
        part = None if part is None else _nearer(seen, earlier, (rows, columns), part)
    return None if part is None else Offset(*part, best)


def _alike(seen: Fine, earlier: Imprint, rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp]) -> Fine:
    """Return the correlation for each shift, (2 DOWN + 1, 2 RIGHT + 1), by the places that lie within their row of macroblocks then."""
    half, width = AROUND // 2, seen.shape[1]
    beside = np.arange(-RIGHT, RIGHT + 1)
    within = (columns >= half + RIGHT) & (columns < width - half - RIGHT)
    found = np.zeros((2 * DOWN + 1, 2 * RIGHT + 1), np.float32)
    for line, down in enumerate(range(-DOWN, DOWN + 1)):
        moved = rows % BLOCK + down
        chosen = within & (moved >= half) & (moved < BLOCK - half)
        there = seen[(rows[chosen] + down)[:, None], columns[chosen][:, None] + beside]
        before = earlier[chosen].astype(np.float32)
        found[line] = before @ there / np.maximum(np.sqrt((before @ before) * (there * there).sum(0)), 1)
    return found


def _nearer(
    seen: Fine, earlier: Imprint, where: tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]], shift: tuple[float, float]
) -> tuple[float, float] | None:
    """Return a better shift, right and down, than this one, by the slopes there (least squares); None where those don't tell."""
    edge = AROUND // 2 + 1
    moved, columns = where[0] % BLOCK + shift[1], where[1] + shift[0]
    whole = (moved >= edge) & (moved < BLOCK - edge - 1) & (columns >= edge) & (columns < seen.shape[1] - edge - 1)
    whole &= np.abs(earlier.astype(np.int16)) < MOST_LEVEL  # of more it isn't known by how much
    rows, columns, before = (where[0] + shift[1])[whole], columns[whole], earlier[whole].astype(np.float64)
    slopes = (
        (_between(seen, rows, columns + 1) - _between(seen, rows, columns - 1)) / 2,
        (_between(seen, rows + 1, columns) - _between(seen, rows - 1, columns)) / 2,
    )
    known = np.stack([*slopes, _between(seen, rows, columns)], 1)
    normal = known.T @ known
    if len(before) < LEAST_PLACES or np.linalg.matrix_rank(normal, hermitian=True) < len(normal):
        return None
    inverse = np.linalg.inv(normal)
    right, down, kept = inverse @ (known.T @ before)
    rest = before - known @ (right, down, kept)
    error = math.sqrt(float(np.linalg.eigvalsh(inverse[:2, :2])[-1]) * float(rest @ rest) / (len(before) - 3))
    if kept < LEAST_KEPT or error > MOST_ERROR * kept or max(abs(right), abs(down)) > kept:
        return None
    return float(shift[0] + right / kept), float(shift[1] + down / kept)


def _between(field: Fine, rows: npt.NDArray[np.float64], columns: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return a field's values between its pixels."""
    above, left = np.floor(rows).astype(np.intp), np.floor(columns).astype(np.intp)
    down, right = rows - above, columns - left
    upper = field[above, left] * (1 - right) + field[above, left + 1] * right
    lower = field[above + 1, left] * (1 - right) + field[above + 1, left + 1] * right
    return np.asarray(upper * (1 - down) + lower * down, np.float64)
