"""How bright is it, and is anything to be told apart: percentiles of the picture and of its blocks."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from agents.vision.cells import Cells
from agents.vision.picture import Plane
from agents.vision.quantile import quantiles

CLIPPED = 225
"""Luma from here on is taken for overexposed: encoders blur the limit of 235."""


@dataclass(frozen=True)
class Levels:
    """Luma on the video scale, 16..235."""

    luma_mean: float
    luma_p95: float
    """95 % of the pixels are no brighter: an OSD covers less than a twentieth."""
    luma_median: float
    block_p10: float
    block_p90: float
    """Nine in ten blocks are no brighter: a lamp or a screen doesn't make a room bright."""
    spread: float
    """Between the darkest tenth and the brightest fifth of the blocks, so that noise is averaged away and text left out."""
    clipped_ratio: float
    """Share of pixels that are overexposed."""


ENOUGH_ROWS = 288
"""Of a larger picture not all rows are counted."""


Histogram = npt.NDArray[np.float32]
"""How many pixels have each of 256 levels."""


def luma_histogram(luma: Plane) -> Histogram:
    """Count the pixels of each of 256 levels, in all rows or some."""
    some = luma[:: max(1, round(luma.shape[0] / ENOUGH_ROWS))]
    return np.asarray(cv2.calcHist([some], [0], None, [256], [0, 256]).reshape(-1), np.float32)


_LEVELS = np.arange(256, dtype=np.float64)


def levels(histogram: Histogram, cells: Cells) -> Levels:
    """Measure how the pixels of a luma plane are spread, and the means of its blocks."""
    summed = histogram.cumsum()
    total = float(summed[-1])
    p10, p80, p90 = quantiles(cells.y, 0.1, 0.8, 0.9)
    return Levels(
        luma_mean=float(_LEVELS @ histogram) / total,
        luma_p95=float(summed.searchsorted(0.95 * total)),
        luma_median=float(summed.searchsorted(0.5 * total)),
        block_p10=p10,
        block_p90=p90,
        spread=p80 - p10,
        clipped_ratio=(total - float(summed[CLIPPED - 1])) / total,
    )
