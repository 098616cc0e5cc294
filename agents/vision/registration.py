"""Where a view's edges are found again: shift, rotation and zoom between two fingerprints."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt
from numpy import fft  # with the module: NumPy loads it when it is first used, and then memory may be limited

Phasors = npt.NDArray[np.complex64]
"""For each cell a complex number, shape (rows, columns): its length how much of an edge, its angle twice the direction."""

_Numbers = npt.NDArray[np.float32]

_LEAST_OVERLAP: Final = 0.2
"""Share of each side's edges that must lie in the part that both show; a smaller part agrees with anything."""

_FULL_OVERLAP: Final = 0.6
"""From this share on a smaller common part is no reason for doubt."""

_ROTATIONS: Final = tuple(math.radians(degrees) for degrees in range(-32, 33, 4))
_ZOOMS: Final = (0.67, 0.75, 0.84, 0.92, 1.0, 1.09, 1.19, 1.33, 1.5, 1.7)
_BLOCK: Final = 12
_WANDERS: Final = 5
"""Blocks of this many cells a side are tried at shifts of up to so many cells."""

_FITS: Final = 0.5
_FITS_BETTER: Final = 0.1
"""Correlation from which a block fits where it was, and by how much better than elsewhere nearby."""

_BLOCK_COUNTS: Final = 0.02
"""Share of all edges that a block must have to be tried at all."""

_TURNS: Final = tuple((rotation, zoom) for zoom in _ZOOMS for rotation in _ROTATIONS)
_NEAR_TURNS: Final = tuple(
    (rotation, zoom) for rotation, zoom in _TURNS if abs(rotation) < math.radians(14) and 0.8 < zoom < 1.25
)
_CLOSE_TURNS: Final = tuple(
    (rotation, zoom) for rotation, zoom in _TURNS if abs(rotation) < math.radians(10) and 0.9 < zoom < 1.1
)
_NEAR_FROM: Final = 0.4
_CLOSE_FROM: Final = 0.6
"""Of a view that was turned or zoomed a little the middle is still anchored; of one that moved further less is."""

_WORTH: Final = 0.05
"""Where no place elsewhere is better by more than this at half the number of cells, none is looked for at the full one."""
_CANDIDATES: Final = 3
_TOLD_FROM: Final = 1.5
"""Cells by which a part halfway to the edge must have moved: less a block doesn't tell from where it was."""
_SETTLED_MORE: Final = 0.2
"""What fits block by block in so much more of the view is the place, though another one agrees better as a whole: boards of a floor lie
along each other in many."""
_FITS_AT_ALL: Final = 0.3
"""Agreement from which it is worth asking block by block."""
_FINE_ROTATIONS: Final = tuple(math.radians(degrees) for degrees in (-2, 0, 2))
_FINE_ZOOMS: Final = (0.96, 1.0, 1.04)
_ZOOMED_TIMES: Final = 1.15
"""A lens that is zoomed by less moves hardly anything by more than a cell or two."""
_OFF_CELLS: Final = 2
"""A lens zooms about its axis, and the sensor's middle is no farther from that."""


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
    """Share of the edges that lie in the part that both show: the geometric mean of both sides'."""
    settled: float = 0.0
    """Share of the approved edges that lie in blocks which fit there better than nearby, as `anchored` says of where they were; 0
    where the view has not moved by as much as blocks tell."""
    zoomed: float = 0.0
    """The best score about the view's own middle, nearer or farther and not turned, wherever it is found; 0 where none was tried."""

    @property
    def score(self) -> float:
        """The agreement, less where only a small part is common."""
        return self.agreement * math.sqrt(min(1.0, self.overlap / _FULL_OVERLAP))


def register(approved: Phasors, seen: Phasors, aspect: float, held: float = 0.0) -> Registration:
    """Search shift, rotation and zoom for the best agreement of two views' edges of one shape.

    `aspect` is the width of the picture over its height: a camera turns in pixels, and cells need not be square. The
    search goes over all rotations and zooms (small ones only where so much is `held` in place, as `anchored` says, that the
    view can't be far) at half the number of cells, then around the best of them at the full one, unless nothing there is
    better than where the view was. Of the best of each of the candidates that one is taken in which clearly more of the view fits block
    by block, if there is one.
    """
    turns = _CLOSE_TURNS if held >= _CLOSE_FROM else _NEAR_TURNS if held >= _NEAR_FROM else _TURNS
    rough = _tried(_halved(approved), _halved(seen), aspect, turns)
    most = 1 if held >= _NEAR_FROM else _CANDIDATES
    found = sorted(range(len(turns)), key=lambda number: -rough.best[number])[:most]
    if float(rough.best[found[0]]) <= rough.unmoved + _WORTH:
        return _tried(approved, seen, aspect, [(0.0, 1.0)]).registration(0)
    finer = [
        (rotation + turn, zoom * scale)
        for rotation, zoom in (turns[number] for number in found)
        for turn in _FINE_ROTATIONS
        for scale in _FINE_ZOOMS
    ]
    zooms = [(0.0, rough.about_middle() * scale) for scale in _FINE_ZOOMS]
    tried = _tried(approved, seen, aspect, [(0.0, 1.0), *finer, *zooms])
    around = len(_FINE_ROTATIONS) * len(_FINE_ZOOMS)
    numbers = [first + int(tried.best[first : first + around].argmax()) for first in range(1, len(finer), around)]
    places = [tried.registration(number) for number in sorted({0, *numbers}, key=lambda number: -tried.best[number])]
    best = _best_settled([replace(place, settled=_settled(approved, seen, aspect, place)) for place in places])
    return replace(
        best, zoomed=max(tried.unshifted(number, _OFF_CELLS) for number in range(1 + len(finer), len(tried.turns)))
    )


def _best_settled(places: Sequence[Registration]) -> Registration:
    """Return the place with the best score, the first, unless at another one clearly more of the view fits block by block."""
    most = max(places, key=lambda place: place.settled)
    return most if most.settled >= places[0].settled + _SETTLED_MORE else places[0]


def _settled(approved: Phasors, seen: Phasors, aspect: float, place: Registration) -> float:
    """Return the share of all approved edges in blocks which fit, at this place, better than nearby."""
    rows, columns = approved.shape
    shift = round(place.shift_x * columns), round(place.shift_y * rows)
    rotation = math.radians(place.rotation)
    told = _wandered(rotation, place.zoom, aspect, (rows, columns), shift) >= _TOLD_FROM
    if not told or place.agreement < _FITS_AT_ALL:
        return 0.0
    laid = warped(approved, rotation, place.zoom, aspect, shift)
    kept = float(_energy(laid).sum()) / max(float(_energy(approved).sum()), 1e-9)
    return anchored(laid, seen) * min(1.0, kept / place.zoom**2)


def _wandered(rotation: float, zoom: float, aspect: float, shape: tuple[int, int], shift: tuple[int, int]) -> float:
    """Return by how many cells the parts halfway to the corners have moved, at the most."""
    rows, columns = shape
    corners = np.array([(columns * x, rows * y, 1) for x in (0.25, 0.75) for y in (0.25, 0.75)])
    moved = corners @ _turn(rotation, zoom, aspect, rows, columns).T + shift - corners[:, :2]
    return float(np.hypot(moved[:, 0], moved[:, 1]).max())


def anchored(approved: Phasors, seen: Phasors) -> float:
    """Return the share 0..1 of the approved edges that lie in blocks which fit where they were better than nearby.

    Where much is hidden what is left of walls and frames still does; of a camera that looks elsewhere nothing does, but
    for the middle of a turned or zoomed view. Both have the shape of a whole number of blocks.
    """
    mine, wide = _planes(approved), _planes(np.pad(seen, _WANDERS))
    power, there = _energy(approved), _window_sums(_energy(np.pad(seen, _WANDERS)))
    total, held, reach = float(power.sum()), 0.0, 2 * _WANDERS
    for row in range(0, approved.shape[0], _BLOCK):
        for column in range(0, approved.shape[1], _BLOCK):
            block = slice(row, row + _BLOCK), slice(column, column + _BLOCK)
            part = float(power[block].sum())
            if part <= _BLOCK_COUNTS * total:
                continue
            around = wide[row : row + _BLOCK + reach, column : column + _BLOCK + reach]
            cross = cv2.matchTemplate(around, mine[block], cv2.TM_CCORR)
            energy = part * there[row : row + reach + 1, column : column + reach + 1]
            if _fits_here(np.asarray(cross / np.sqrt(np.maximum(energy, 1e-9)), np.float32)):
                held += part
    return held / total if total > 0 else 0.0


def _fits_here(agreement: _Numbers) -> bool:
    """Tell whether a block fits where it was better than nearby, from its agreement at each shift of so many cells each way."""
    near = slice(_WANDERS - 1, _WANDERS + 2)
    here = float(agreement[near, near].max())
    agreement[near, near] = -1
    return here > _FITS and here > float(agreement.max()) + _FITS_BETTER


def _window_sums(cells: _Numbers) -> _Numbers:
    """Return the sums over a block at each place where one fits."""
    sums = cv2.integral(cells, sdepth=cv2.CV_64F)
    lines = sums[_BLOCK:] - sums[:-_BLOCK]
    return np.asarray(lines[:, _BLOCK:] - lines[:, :-_BLOCK], np.float32)


def _planes(cells: Phasors) -> _Numbers:
    """Return real and imaginary parts for OpenCV, which knows no complex numbers: shape (rows, columns, 2)."""
    return np.ascontiguousarray(cells).view(np.float32).reshape(*cells.shape, 2)


def _halved(cells: Phasors) -> Phasors:
    halved: Phasors = (cells[::2, ::2] + cells[1::2, ::2] + cells[::2, 1::2] + cells[1::2, 1::2]) / 4
    return halved


def warped(approved: Phasors, rotation: float, zoom: float, aspect: float, shift: tuple[int, int] = (0, 0)) -> Phasors:
    """Return the approved view's edges as a turned, zoomed and shifted camera would show them.

    `rotation` is in radians, `shift` in cells to the right and downwards.
    """
    rows, columns = approved.shape
    matrix = _turn(rotation, zoom, aspect, rows, columns) + np.array([[0, 0, shift[0]], [0, 0, shift[1]]])
    laid = cv2.warpAffine(_planes(approved), matrix, (columns, rows))
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


@dataclass(frozen=True)
class _Tried:
    """All shifts for each of some turns (rotation, zoom): arrays of the shape (turns, 2 rows, 2 columns)."""

    turns: Sequence[tuple[float, float]]
    agreement: _Numbers
    overlap: _Numbers
    places: npt.NDArray[np.intp]
    """Of the best shift of each turn."""
    best: _Numbers
    """The score there."""

    @property
    def unmoved(self) -> float:
        """Return the agreement where the view was; the turns have that of none."""
        return float(self.agreement[self.turns.index((0.0, 1.0)), 0, 0])

    def unshifted(self, number: int, most: int) -> float:
        """Return the best score of one of the turns at shifts of at most so many cells."""
        near = np.arange(-most, most + 1)
        agreement, overlap = (part[number][np.ix_(near, near)] for part in (self.agreement, self.overlap))
        return float((agreement * np.sqrt(np.minimum(1, overlap / _FULL_OVERLAP))).max())

    def about_middle(self) -> float:
        """Return the zoom that agrees best about the middle, not turned, of those that are far enough from none."""
        straight = [
            (self.unshifted(number, 1), zoom)
            for number, (rotation, zoom) in enumerate(self.turns)
            if rotation == 0 and abs(math.log(zoom)) >= math.log(_ZOOMED_TIMES)
        ]
        return max(straight, default=(0.0, 1.0))[1]

    def registration(self, number: int) -> Registration:
        """Return the best shift of one of the turns."""
        rotation, zoom = self.turns[number]
        agreement = self.agreement[number]
        rows, columns = agreement.shape
        row, column = divmod(int(self.places[number]), columns)
        others = agreement[agreement != 0]
        spread = float(others.std()) if others.size else 0.0
        return Registration(
            shift_x=2 * (column - columns if 2 * column >= columns else column) / columns,
            shift_y=2 * (row - rows if 2 * row >= rows else row) / rows,
            rotation=math.degrees(rotation),
            zoom=zoom,
            agreement=float(agreement[row, column]),
            distinct=float(agreement[row, column] - others.mean()) / spread if spread > 0 else 0.0,
            overlap=float(self.overlap[number, row, column]),
        )


def _tried(approved: Phasors, seen: Phasors, aspect: float, turns: Sequence[tuple[float, float]]) -> _Tried:
    """Lay the approved view over what is seen at all shifts, for each (rotation, zoom) of it."""
    rows, columns = seen.shape
    laid = np.stack([warped(approved, rotation, zoom, aspect) for rotation, zoom in turns])
    frame = (2 * rows, 2 * columns)
    cross = fft.ifft2(np.conj(fft.fft2(laid, frame)) * fft.fft2(seen, frame)).real
    mine, yours = _common(_energy(laid), ahead=False), _common(_energy(seen[None]), ahead=True)
    scale = np.sqrt(np.maximum(mine[0] * yours[0], 1e-12))
    enough = (mine[1] >= _LEAST_OVERLAP) & (yours[1] >= _LEAST_OVERLAP)
    agreement = np.where(enough, cross / scale, 0)
    overlap = np.sqrt(mine[1] * yours[1])
    score = (agreement * np.sqrt(np.minimum(1, overlap / _FULL_OVERLAP))).reshape(len(turns), -1)
    places = score.argmax(axis=1)
    return _Tried(turns, agreement, overlap, places, score[np.arange(len(turns)), places])


def _energy(cells: Phasors) -> _Numbers:
    return np.asarray(cells.real**2 + cells.imag**2, np.float32)


def _common(energy: _Numbers, *, ahead: bool) -> tuple[_Numbers, _Numbers]:
    """Return (energy in the part that both sides show, its share of the whole) at each shift, negative ones wrapped.

    `energy` has shape (many, rows, columns). A shift to the right leaves the approved view's left part (`ahead` false)
    and the right part of what is seen (`ahead` true).
    """
    many, rows, columns = energy.shape
    sums = np.zeros((many, rows + 1, columns + 1), np.float64)
    sums[:, 1:, 1:] = energy.cumsum(axis=1, dtype=np.float64).cumsum(axis=2)
    (top, bottom), (left, right) = (_edges_of(size, ahead=ahead) for size in (rows, columns))
    lines = sums[:, bottom] - sums[:, top]
    part = lines[:, :, right] - lines[:, :, left]
    whole = np.maximum(sums[:, -1:, -1:], 1e-9)
    return np.maximum(part, 0).astype(np.float32), np.maximum(part / whole, 0).astype(np.float32)


@lru_cache(maxsize=16)
def _edges_of(size: int, *, ahead: bool) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return where the common part begins and ends along one side, for shifts 0..size-1, -size..-1."""
    shift = np.concatenate([np.arange(size), np.arange(-size, 0)])
    if not ahead:
        shift = -shift
    return np.clip(shift, 0, size), np.clip(size + shift, 0, size)
