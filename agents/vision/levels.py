"""How bright is it, and is anything to be told apart: percentiles of the picture and of its blocks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agents.vision.picture import Plane

BLOCKS_WIDE, BLOCKS_HIGH = 44, 36
"""Blocks a picture is averaged to: 16 pixels of 704 x 576."""

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
    """Between the 5 % darkest and the 5 % brightest blocks: what is left when noise is averaged away."""
    clipped_ratio: float
    """Share of pixels that are overexposed."""


def levels(luma: Plane) -> Levels:
    """Measure a luma plane."""
    import cv2

    histogram = cv2.calcHist([luma], [0], None, [256], [0, 256]).reshape(-1)
    summed = np.cumsum(histogram)
    total = float(summed[-1])
    size = (min(BLOCKS_WIDE, luma.shape[1]), min(BLOCKS_HIGH, luma.shape[0]))
    blocks = cv2.resize(luma, size, interpolation=cv2.INTER_AREA)
    p5, p10, p90, p95 = (float(value) for value in np.percentile(blocks, (5, 10, 90, 95)))
    return Levels(
        luma_mean=float(np.arange(256) @ histogram) / total,
        luma_p95=float(np.searchsorted(summed, 0.95 * total)),
        luma_median=float(np.searchsorted(summed, 0.5 * total)),
        block_p10=p10,
        block_p90=p90,
        spread=p95 - p5,
        clipped_ratio=float(histogram[CLIPPED:].sum()) / total,
    )
