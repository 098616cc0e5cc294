"""Is the picture drawn by a machine: few exact colours on noiseless surfaces, as a recorder's placeholder is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agents.vision.levels import luma_histogram
from agents.vision.picture import Picture, Plane

CELL = 8
"""Side of a cell in pixels: the transform's block, so that a drawn surface is one value."""

COLOURS = 8
"""A test card has eight bars; a placeholder has one or two colours beside its text."""

ENOUGH_CELLS = 704 * 576 // CELL**2
"""Of a larger picture only some rows of cells are looked at."""

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


def drawn(picture: Picture) -> Drawn:
    """Measure a picture. Live surfaces are noisy or shaded: their flat cells, where there are any, differ by levels."""
    import cv2

    luma = picture.luma
    histogram = luma_histogram(luma)
    mode = int(histogram.argmax())
    near = float(histogram[max(0, mode - 2) : mode + 3].sum() / histogram.sum())
    rows, columns = luma.shape[0] // CELL, luma.shape[1] // CELL
    if not rows or not columns:
        return Drawn(near, 0.0, 0.0)
    every = max(1, round(rows * columns / ENOUGH_CELLS))
    bands = np.ascontiguousarray(luma[: rows * CELL].reshape(rows, CELL, -1)[::every, :, : columns * CELL])
    lowest, highest = (_extreme(bands, highest=which) for which in (False, True))
    flat = highest.astype(np.int16) - lowest <= 2 * FLAT_STEP
    u, v = (
        cv2.resize(plane, (columns, rows), interpolation=cv2.INTER_AREA)[::every].astype(np.int32)
        for plane in (picture.u, picture.v)
    )
    colour = (lowest.astype(np.int32) // 2 * 128 + u // 2) * 128 + v // 2
    _, counts = np.unique(colour[flat], return_counts=True)
    commonest = np.sort(counts)[::-1][:COLOURS]
    covered = float(commonest.sum()) / flat.size
    needed = int(np.searchsorted(np.cumsum(commonest), 0.9 * commonest.sum()) + 1) if commonest.size else 0
    return Drawn(near, covered, float(needed))


def _extreme(bands: Plane, *, highest: bool) -> Plane:
    """Return the lowest or highest pixel of each cell of bands of cells, shape (bands, 8, width)."""
    import cv2

    stacked = bands.reshape(-1, bands.shape[2])
    kernel = np.ones((CELL, CELL), np.uint8)
    found = (cv2.dilate if highest else cv2.erode)(stacked, kernel, anchor=(0, 0))
    return np.asarray(found[::CELL, ::CELL], np.uint8)
