"""Is the picture drawn by a machine: few exact colours on noiseless surfaces, as a recorder's placeholder is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agents.vision.picture import Picture

CELL = 8
"""Side of a cell in pixels: the transform's block, so that a drawn surface is one value."""

COLOURS = 8
"""A test card has eight bars; a placeholder has one or two colours beside its text."""

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
    histogram = cv2.calcHist([luma], [0], None, [256], [0, 256]).reshape(-1)
    mode = int(histogram.argmax())
    near = float(histogram[max(0, mode - 2) : mode + 3].sum()) / luma.size
    rows, columns = luma.shape[0] // CELL, luma.shape[1] // CELL
    if not rows or not columns:
        return Drawn(near, 0.0, 0.0)
    cells = luma[: rows * CELL, : columns * CELL].reshape(rows, CELL, columns, CELL)
    lowest, highest = cells.min(axis=3).min(axis=1), cells.max(axis=3).max(axis=1)
    flat = highest.astype(np.int16) - lowest <= 2 * FLAT_STEP
    size = (columns, rows)
    u, v = (cv2.resize(plane, size, interpolation=cv2.INTER_AREA).astype(np.int32) for plane in (picture.u, picture.v))
    colour = (lowest.astype(np.int32) // 2 * 128 + u // 2) * 128 + v // 2
    _, counts = np.unique(colour[flat], return_counts=True)
    commonest = np.sort(counts)[::-1][:COLOURS]
    covered = float(commonest.sum()) / flat.size
    needed = int(np.searchsorted(np.cumsum(commonest), 0.9 * commonest.sum()) + 1) if commonest.size else 0
    return Drawn(near, covered, float(needed))
