"""How much noise is in the picture: what neighbouring pixels of quiet surfaces differ by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agents.vision.picture import Plane
from agents.vision.quantile import quantile
from agents.vision.strips import BLOCK, block_means

QUIET_PERCENT = 30
"""Blocks with less high-frequency content than the rest are surfaces: edges and texture don't count as noise."""

_TO_SIGMA = float(np.sqrt(np.pi / 2) / 6)
"""From the mean absolute value of the operator to the standard deviation of Gaussian noise (Immerkaer 1996)."""


@dataclass(frozen=True)
class Grain:
    """Noise in levels of luma."""

    noise: float
    """Median over blocks of the mean step between neighbouring pixels; a live sensor is never 0."""
    grain: float
    """Standard deviation of the noise on the quiet surfaces that are neither black nor white."""
    colour_grain: float
    """The same of chroma, the noisier plane: encoders leave nothing of a sound sensor's."""


def grain(strips: Plane, *chroma: Plane) -> Grain:
    """Measure samples of a luma plane and of chroma planes, each of shape (16 n, 16 m).

    The operator is the difference of two Laplacians: blind to ramps, edges along the axes nearly so (J. Immerkaer, Fast Noise
    Variance Estimation, CVIU 64(2), 1996).
    """
    noise = quantile(detail(strips), 0.5) if strips.size else 0.0
    return Grain(noise, _sigma(strips), max((_sigma(plane) for plane in chroma), default=0.0))


def _sigma(strips: Plane) -> float:
    import cv2

    if not strips.size:
        return 0.0
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    response = np.abs(cv2.filter2D(strips.astype(np.int16), cv2.CV_16S, kernel)).astype(np.float32)
    seams = response.reshape(-1, BLOCK, response.shape[1])
    seams[:, (0, -1)] = seams[:, 1:2]  # rows of the strips that are no neighbours in the picture
    blocks, means = block_means(response), block_means(strips.astype(np.float32))
    exposed = blocks[(means > 24) & (means < 220)]
    if exposed.size < max(4, blocks.size // 5):
        exposed = blocks.reshape(-1)
    return quantile(exposed, QUIET_PERCENT / 100) * _TO_SIGMA


def detail(strips: Plane) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Return the mean step between neighbouring pixels in each block."""
    return block_means(np.abs(np.diff(strips.astype(np.int16), axis=1, append=strips[:, -1:])).astype(np.float32))
