"""Where a view's edges are found again: shift, rotation and zoom between two fingerprints."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

Phasors = npt.NDArray[np.complex64]
"""For each cell a complex number, shape (rows, columns): its length how much of an edge, its angle twice the direction."""

_Numbers = npt.NDArray[np.float32]

_LEAST_OVERLAP: Final = 0.2
"""Share of each side's edges that must lie in the part that both show; a smaller part agrees with anything."""

_FULL_OVERLAP: Final = 0.5
"""From this share on a smaller common part is no reason for doubt."""

_ROTATIONS: Final = tuple(math.radians(degrees) for degrees in range(-32, 33, 4))
_ZOOMS: Final = (0.67, 0.75, 0.84, 0.92, 1.0, 1.09, 1.19, 1.33, 1.5)
_CANDIDATES: Final = 3
_FINE_ROTATIONS: Final = tuple(math.radians(degrees) for degrees in (-2, 0, 2))
_FINE_ZOOMS: Final = (0.96, 1.0, 1.04)


@dataclass(frozen=True)
class Registration:
    """A way to lay the approved view's edges over those that are seen."""

    shift_x: float
    """Share of the view's width by which its middle has wandered, to the right positive."""
    shift_y: float
    """Share of its height, downwards positive."""
    rotation: float
    """Degrees, clockwise as seen in the picture."""
    zoom: float
    agreement: float
    """Correlation of the edges in the part that both show, -1..1."""
    distinct: float
    """How far the agreement stands above that of other shifts, in their standard deviations."""
    overlap: float
    """Share of the approved edges that lie in the part that both show."""

    @property
    def score(self) -> float:
        """The agreement, less where only a small part is common."""
        return self.agreement * math.sqrt(min(1.0, self.overlap / _FULL_OVERLAP))


def register(approved: Phasors, seen: Phasors, aspect: float) -> Registration:
    """Search shift, rotation and zoom for the best agreement of two views' edges of one shape.

    `aspect` is the width of the picture over its height: a camera turns in pixels, and cells need not be square. The
    search goes over all rotations and zooms at half the number of cells, then around the best of them at the full one.
    """
    small_approved, small_seen = _halved(approved), _halved(seen)
    turns = [(rotation, zoom) for zoom in _ZOOMS for rotation in _ROTATIONS]
    rough = sorted(_tried(small_approved, small_seen, aspect, turns), key=lambda item: -item[0].score)
    finer = {
        (rotation + turn, zoom * scale)
        for _, (rotation, zoom) in rough[:_CANDIDATES]
        for turn in _FINE_ROTATIONS
        for scale in _FINE_ZOOMS
    }
    best, _ = max(_tried(approved, seen, aspect, [(0.0, 1.0), *sorted(finer)]), key=lambda item: item[0].score)
    return best


def _tried(
    approved: Phasors, seen: Phasors, aspect: float, turns: Iterable[tuple[float, float]]
) -> list[tuple[Registration, tuple[float, float]]]:
    frame = _Frame(seen)
    return [
        (frame.best_shift(warped(approved, rotation, zoom, aspect), rotation, zoom), (rotation, zoom))
        for rotation, zoom in turns
    ]


def _halved(cells: Phasors) -> Phasors:
    halved: Phasors = (cells[::2, ::2] + cells[1::2, ::2] + cells[::2, 1::2] + cells[1::2, 1::2]) / 4
    return halved


def warped(approved: Phasors, rotation: float, zoom: float, aspect: float) -> Phasors:
    """Return the approved view's edges as a turned and zoomed camera would show them (`rotation` in radians)."""
    rows, columns = approved.shape
    planes = approved.view(np.float32).reshape(rows, columns, 2)  # OpenCV warps no complex numbers
    laid = cv2.warpAffine(planes, _turn(rotation, zoom, aspect, rows, columns), (columns, rows))
    turned: Phasors = laid.view(np.complex64)[..., 0] * np.complex64(np.exp(2j * rotation))
    return turned


@lru_cache(maxsize=1024)
def _turn(rotation: float, zoom: float, aspect: float, rows: int, columns: int) -> npt.NDArray[np.float64]:
    """Return the affine matrix in cells: a turn about the middle, in pixels, whose cells may be wider than high."""
    wide = aspect * rows / columns
    cosine, sine = zoom * math.cos(rotation), zoom * math.sin(rotation)
    linear = np.array([[cosine, -sine / wide], [sine * wide, cosine]])
    middle = np.array([(columns - 1) / 2, (rows - 1) / 2])
    return np.column_stack([linear, middle - linear @ middle])


class _Frame:
    """The edges that are seen, prepared for being compared at all shifts with others of the same shape."""

    def __init__(self, seen: Phasors) -> None:
        self.rows, self.columns = seen.shape
        self.shape = (2 * self.rows, 2 * self.columns)
        energy = np.abs(seen) ** 2
        self.whole = max(float(energy.sum()), 1e-9)
        self.seen = np.fft.fft2(seen, self.shape)
        # Two real planes share one transform: what lies of each side's energy in the common part, at each shift.
        self.energy, self.ones = (np.fft.rfft2(plane, self.shape) for plane in (energy, np.ones_like(energy)))

    def best_shift(self, approved: Phasors, rotation: float, zoom: float) -> Registration:
        """Return the best shift of an approved view that was turned and zoomed already."""
        agreement, overlap = self._correlation(approved)
        score = agreement * np.sqrt(np.minimum(1, overlap / _FULL_OVERLAP))
        row, column = (int(item) for item in np.unravel_index(int(score.argmax()), score.shape))
        others = agreement[agreement != 0]
        spread = float(others.std()) if others.size else 0.0
        return Registration(
            shift_x=(column - 2 * self.columns if column >= self.columns else column) / self.columns,
            shift_y=(row - 2 * self.rows if row >= self.rows else row) / self.rows,
            rotation=math.degrees(rotation),
            zoom=zoom,
            agreement=float(agreement[row, column]),
            distinct=float(agreement[row, column] - others.mean()) / spread if spread > 0 else 0.0,
            overlap=float(overlap[row, column]),
        )

    def _correlation(self, approved: Phasors) -> tuple[_Numbers, _Numbers]:
        """Return for each shift the correlation of edges in the common part, and the share of approved edges in it.

        Both are indexed by the shift, negative ones wrapped around. Where the common part holds too few edges of
        either side the correlation is 0.
        """
        energy = np.abs(approved) ** 2
        whole = max(float(energy.sum()), 1e-9)
        cross = np.fft.ifft2(np.conj(np.fft.fft2(approved, self.shape)) * self.seen).real
        mine = np.fft.irfft2(np.conj(np.fft.rfft2(energy, self.shape)) * self.ones, self.shape)
        yours = np.fft.irfft2(np.conj(np.fft.rfft2(np.ones_like(energy), self.shape)) * self.energy, self.shape)
        enough = (mine >= _LEAST_OVERLAP * whole) & (yours >= _LEAST_OVERLAP * self.whole)
        scale = np.sqrt(np.maximum(mine, 1e-9) * np.maximum(yours, 1e-9))
        agreement: _Numbers = np.where(enough, cross / scale, 0)
        overlap: _Numbers = np.maximum(mine / whole, 0)
        return agreement, overlap
