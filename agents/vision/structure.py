"""What stands in a picture, whatever its light: strength and direction of its edges at three scales, cell by cell.

Everything is derived from the logarithm of luma, so that more or less light on a surface changes nothing but noise, and
a camera's gain and gamma change all cells alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from agents.vision.picture import Plane
from agents.vision.quantile import quantile

Field = npt.NDArray[np.float32]
"""A number for each cell, shape (rows, columns)."""

Fields = npt.NDArray[np.float32]
"""Several of them, shape (fields, rows, columns)."""

COLUMNS: Final = 48
ROWS: Final = 36
COARSE_COLUMNS: Final = 24
COARSE_ROWS: Final = 18

_WIDTH: Final = 384
_HEIGHT: Final = 288
"""Every picture is brought to this size first, whatever its own size and shape."""

_FEW: Final = 16
"""So many columns that become a whole number of others are few."""

_BLACK: Final = 16
_TOE: Final = 16
"""Added to luma before its logarithm is taken: keeps the noise and the rounding of the dark from growing."""

_LOGARITHM: Final = np.log2(np.maximum(np.arange(256) - _BLACK, 0) + _TOE).astype(np.float32)

_FLAT_SHARE: Final = 0.2
"""This share of the cells is taken for surfaces without edges: what is measured there is noise."""

_NOISE_MARGIN: Final = 1.5


@dataclass(frozen=True)
class Edges:
    """Edges of one scale: in each cell their strength, and the direction of the gradient as a doubled angle."""

    strength: Field
    """Root mean square gradient above the noise, in doublings of luma a pixel of the scale."""
    cosine: Field
    """Coherence (0..1: all edges of the cell run one way) times the cosine of the doubled angle."""
    sine: Field
    noise: float
    """Strength that noise alone has; what was subtracted from the energies."""


@dataclass(frozen=True)
class Structure:
    """A picture's edges: fine (no direction), middle, and coarse, each with its grid of cells."""

    luma: Plane
    """Mean luma of each cell."""
    fine: Field
    fine_noise: float
    middle: Edges
    coarse: Edges


def structure_of(luma: Plane) -> Structure:
    """Measure a luma plane of any size (video range)."""
    small = brought_to(luma, _WIDTH, _HEIGHT)
    fine = np.asarray(cv2.LUT(small, _LOGARITHM), np.float32)
    middle = shrunk(fine, (_WIDTH // 2, _HEIGHT // 2))
    coarse = smoothed(shrunk(middle, (COLUMNS, ROWS)), 0.8)
    planes = _products(middle)
    across, down = slopes = np.empty((2, *fine.shape), np.float32)
    _slopes(fine, slopes)
    energy = cv2.accumulateSquare(down, np.multiply(across, across, out=across))
    halved = (_WIDTH // 2, _HEIGHT // 2)  # by halves, which is much cheaper
    cv2.resize(energy, halved, dst=planes[3], interpolation=cv2.INTER_AREA)
    pooled = _pooled(planes, (COLUMNS, ROWS))
    strength, noise = _above_noise(pooled[3])
    return Structure(
        luma=brought_to(small, COLUMNS, ROWS),
        fine=strength,
        fine_noise=noise,
        middle=_edges(pooled),
        coarse=_edges(_pooled(_products(coarse)[:3], (COARSE_COLUMNS, COARSE_ROWS))),
    )


def brought_to(plane: Plane, width: int, height: int) -> Plane:
    """Return a plane at another size, by means where it shrinks."""
    while plane.shape[1] >= 2 * width and plane.shape[0] >= 2 * height:  # halves are cheap, odd ratios aren't
        half = (plane.shape[1] // 2, plane.shape[0] // 2)
        plane = np.asarray(cv2.resize(plane, half, interpolation=cv2.INTER_AREA), np.uint8)
    if plane.shape[0] == 2 * height:
        plane = np.asarray(cv2.addWeighted(plane[::2], 0.5, plane[1::2], 0.5, 0), np.uint8)
    if plane.shape[0] == height and width < plane.shape[1] <= _FEW * math.gcd(plane.shape[1], width):
        return _fewer_columns(plane, width)
    shrinks = plane.shape[1] >= width and plane.shape[0] >= height
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(plane, (width, height), interpolation=method), np.uint8)


def _fewer_columns(plane: Plane, width: int) -> Plane:
    """Return the means over a smaller number of columns, as OpenCV gives them in twice the time: 11 become 6, and so on."""
    rows, columns = plane.shape
    shares = _shares(columns // math.gcd(columns, width), width // math.gcd(columns, width))
    groups = cv2.transpose(plane).reshape(-1, shares.shape[1], rows).astype(np.float32)
    return np.asarray(cv2.transpose(cv2.convertScaleAbs((shares @ groups).reshape(width, rows))), np.uint8)


@lru_cache(maxsize=16)
def _shares(before: int, after: int) -> Field:
    """Return how much of each new column each of the old ones makes up: shape (after, before)."""
    ends, new = np.arange(before + 1), np.arange(after + 1) * before / after
    first = np.maximum(new[:-1, None], ends[None, :-1])
    last = np.minimum(new[1:, None], ends[None, 1:])
    return np.asarray(np.maximum(last - first, 0) * after / before, np.float32)


def _slopes(plane: Field, into: Fields) -> None:
    """Put how a plane rises to the right into the first field, and downwards into the second one."""
    for field, order in zip(into, ((1, 0), (0, 1)), strict=False):
        cv2.Sobel(plane, cv2.CV_32F, *order, dst=field, ksize=3, scale=1 / 8)


def _products(plane: Field) -> Fields:
    """Return a plane's slopes' products: across times itself, down times itself, and one times the other. A fourth field has room for another plane."""
    planes = np.empty((4, *plane.shape), np.float32)
    _slopes(plane, planes)
    across, down, both, _ = planes
    np.multiply(across, down, out=both)
    np.multiply(across, across, out=across)
    np.multiply(down, down, out=down)
    return planes


def _pooled(planes: Fields, grid: tuple[int, int]) -> Fields:
    """Return means over cells whose windows overlap, so that an edge on a border belongs to both sides. All planes at once, one below the other."""
    halves = _shrunk(planes, (2 * grid[0], 2 * grid[1]))
    for half in halves:
        cv2.GaussianBlur(half, (0, 0), 1.0, dst=half)
    return _shrunk(halves, grid)


def _shrunk(planes: Fields, grid: tuple[int, int]) -> Fields:
    """Return planes' means over the cells of a coarser grid (columns, rows), of a whole number of theirs each; themselves where it is theirs."""
    if planes.shape[1:] == (grid[1], grid[0]):
        return planes
    found = cv2.resize(
        planes.reshape(-1, planes.shape[2]), (grid[0], len(planes) * grid[1]), interpolation=cv2.INTER_AREA
    )
    return np.asarray(found.reshape(len(planes), grid[1], grid[0]), np.float32)


def smoothed(plane: Field, sigma: float) -> Field:
    """Return a plane blurred by a Gaussian window of that width in cells."""
    if sigma < _WIDE:
        return np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma), np.float32)
    return np.asarray(window(plane.shape[0], sigma) @ plane @ window(plane.shape[1], sigma).T, np.float32)


_WIDE: Final = 2.0
"""Cells: from here on a product with the window's matrix is several times as fast as sliding it."""


@lru_cache(maxsize=16)
def window(cells: int, sigma: float) -> Field:
    """Return what OpenCV's Gaussian window makes of a line of so many cells: shape (after, before)."""
    return np.asarray(cv2.GaussianBlur(np.eye(cells, dtype=np.float32), (1, 0), sigma), np.float32)


def shrunk(plane: Field, grid: tuple[int, int]) -> Field:
    """Return the means over the cells of a coarser grid (columns, rows)."""
    return np.asarray(cv2.resize(plane, grid, interpolation=cv2.INTER_AREA), np.float32)


def _above_noise(energy: Field) -> tuple[Field, float]:
    floor = _NOISE_MARGIN * quantile(energy, _FLAT_SHARE)
    above = energy - floor
    np.maximum(above, 0, out=above)
    return np.sqrt(above, out=above), floor**0.5


def _edges(pooled: Fields) -> Edges:
    """Return the edges of which these are the pooled products of slopes."""
    wide, high, both = pooled[:3]
    energy = wide + high
    strength, noise = _above_noise(energy)
    whole = np.maximum(energy, np.float32(1e-12), out=energy)
    cosine = np.subtract(wide, high, out=wide)
    cosine /= whole
    both *= 2
    both /= whole
    return Edges(strength, cosine, both, noise)
