"""Is the picture drawn by a machine: few exact colours on noiseless surfaces, as a recorder's placeholder is."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from agents.vision.levels import Histogram, luma_histogram
from agents.vision.picture import Picture, Plane

CELL = 8
"""Side of a cell in pixels: the transform's block, so that a drawn surface is one value."""

COLOURS = 8
"""A test card has eight bars; a placeholder has one or two colours beside its text."""

ENOUGH_CELLS = 704 * 576 // CELL**2
"""Of a larger picture only some rows of cells are looked at."""

GROUND_RATIO = 0.5
GROUND_STEP, TEXT_STEP = 10, 80
"""Of half of the picture's one luma, with the encoder's ringing about it, what is written on it differs by so many levels."""

RAMP_STEP, SHARP_STEP = 16, 60
"""From a cell's darkest to its brightest pixel: a gradient over the whole scale leaves three levels, lens and encoder leave an edge of a
room any step, and writing steps at once from ground to ink."""

FLAT_STEP = 1.0
"""Half the distance between a cell's darkest and brightest pixel, at most, for it to be flat."""


@dataclass(frozen=True)
class Drawn:
    """How much of the picture could have been drawn."""

    flat_ratio: float
    """Share of the picture within 2 of its commonest luma."""
    drawn_ratio: float
    """Share of cells that are flat and of one of the eight commonest colours, to a level."""
    colours: float
    """How many colours it takes for nine tenths of what is drawn."""
    text_ratio: float
    """Share of the middle's pixels that are far brighter or darker than the commonest luma: what is written there."""
    shade_ratio: float
    """Share of the middle's pixels that are neither written nor the ground: the rest of an overexposed room."""
    sharp_ratio: float
    """Share of cells in the middle that hold a step as of writing, whatever the ground: of those between the quarters at top and bottom."""
    edge_ratio: float
    """Share of cells in the middle that are no part of a gradient, less those: all that a room is furnished with."""


def drawn(picture: Picture, histogram: Histogram) -> Drawn:
    """Measure a picture and its `luma_histogram`. Live surfaces are noisy or shaded: their flat cells, where there are any, differ by levels."""
    luma = picture.luma
    mode = int(histogram.argmax())
    near = float(histogram[max(0, mode - 2) : mode + 3].sum() / histogram.sum())
    rows, columns = luma.shape[0] // CELL, luma.shape[1] // CELL
    if not rows or not columns:
        return Drawn(near, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    every = max(1, round(rows * columns / ENOUGH_CELLS))
    bands = luma[: rows * CELL].reshape(rows, CELL, -1)[::every, :, : columns * CELL]
    lowest, highest = _extreme(bands, np.minimum), _extreme(bands, np.maximum)
    steps = highest - lowest
    chroma = (_chroma(plane, columns, rows)[::every] for plane in (picture.u, picture.v))
    flat = (steps <= 2 * FLAT_STEP).ravel().nonzero()[0]
    common = _commonest(*(plane.take(flat).astype(np.int32) >> 1 for plane in (lowest, *chroma))).cumsum()
    covered = int(common[-1])
    needed = int(common.searchsorted(0.9 * covered)) + 1 if covered else 0
    return Drawn(near, covered / steps.size, float(needed), *_written(luma, near, mode), *_edges(steps))


def _commonest(*parts: npt.NDArray[np.int32]) -> npt.NDArray[np.intp]:
    """Return how often the commonest colours come, of which these are the parts, each below 128: the most frequent first; 0 where there is none."""
    y, u, v = parts
    colours = (y * 128 + u) * 128 + v
    colours.sort()
    ends = np.concatenate([[-1], (colours[1:] != colours[:-1]).nonzero()[0], [colours.size - 1]])
    return np.sort(ends[1:] - ends[:-1])[: -COLOURS - 1 : -1]


def _chroma(plane: Plane, columns: int, rows: int) -> Plane:
    """Return a chroma plane's means for the cells; of 4:2:0's by halves, which is much cheaper."""
    while plane.shape[0] % (2 * rows) == 0 and plane.shape[1] % (2 * columns) == 0:
        half = (plane.shape[1] // 2, plane.shape[0] // 2)
        plane = np.asarray(cv2.resize(plane, half, interpolation=cv2.INTER_AREA), np.uint8)
    return np.asarray(cv2.resize(plane, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)


def _written(luma: Plane, near: float, mode: int) -> tuple[float, float]:
    """Return the shares of pixels (far from the commonest luma, between near and far); 0 where there is no ground.

    A sixth at top and bottom is left out: there are clocks.
    """
    if near < GROUND_RATIO:
        return 0.0, 0.0
    counted = luma_histogram(luma[luma.shape[0] // 6 : -(luma.shape[0] // 6) or None])
    total = float(counted.sum())
    ground, near_text = (
        float(counted[max(0, mode - step) : mode + step + 1].sum()) / total for step in (GROUND_STEP, TEXT_STEP)
    )
    return 1 - near_text, near_text - ground


def _edges(steps: Plane) -> tuple[float, float]:
    """Return (`sharp_ratio`, `edge_ratio`) of each cell's step, shape (rows, columns): all but a sixth at top and bottom."""
    rows = len(steps)
    middle = steps[rows // 6 : rows - rows // 6]
    centre = steps[rows // 4 : rows - rows // 4]
    sharp = np.count_nonzero(centre >= SHARP_STEP) / middle.size
    return sharp, np.count_nonzero(middle > RAMP_STEP) / middle.size - sharp


def _extreme(bands: Plane, which: np.ufunc) -> Plane:
    """Return the lowest or highest pixel of each cell of bands of cells, shape (bands, 8, width)."""
    lines = np.asarray(
        cv2.transpose(_halved(bands, which)), np.uint8
    )  # whole lines are many times as fast as neighbours
    return np.asarray(_halved(lines.reshape(-1, CELL, len(bands)), which).T, np.uint8)


def _halved(lines: Plane, which: np.ufunc) -> Plane:
    """Reduce the middle axis, of 8 = 2^3, by halves: twice as fast as one after the other."""
    for half in (4, 2, 1):
        lines = which(lines[:, :half], lines[:, half:])
    return np.asarray(lines[:, 0], np.uint8)
