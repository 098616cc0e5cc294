"""How much noise is in the picture: what neighbouring pixels of quiet surfaces differ by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

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


Field = npt.NDArray[np.float32]
"""A number for each block, shape (rows, columns)."""


def grain(strips: Plane, steps: Field, *chroma: Plane) -> Grain:
    """Measure samples of a luma plane, its `detail`, and chroma planes, each of shape (16 n, 16 m).

    The operator is the difference of two Laplacians: blind to ramps, edges along the axes nearly so (J. Immerkaer, Fast Noise
    Variance Estimation, CVIU 64(2), 1996).
    """
    noise = quantile(steps, 0.5) if strips.size else 0.0
    return Grain(noise, _sigma(strips), max((_sigma(plane) for plane in chroma), default=0.0))


def _sigma(strips: Plane) -> float:
    import cv2

    if not strips.size:
        return 0.0
    response = np.abs(cv2.Sobel(strips, cv2.CV_16S, 2, 2, ksize=3))  # (1, -2, 1) across and down: 4080 at the most
    seams = response.reshape(-1, BLOCK, response.shape[1])
    seams[:, (0, -1)] = seams[:, 1:2]  # rows of the strips that are no neighbours in the picture
    blocks, means = block_means(response), block_means(strips)
    exposed = blocks[(means > 24) & (means < 220)]
    if exposed.size < max(4, blocks.size // 5):
        exposed = blocks.reshape(-1)
    return quantile(exposed, QUIET_PERCENT / 100) * _TO_SIGMA


def detail(strips: Plane) -> Field:
    """Return the mean step between neighbouring pixels in each block; the last column has no neighbour."""
    import cv2

    if not strips.size:
        return np.empty((0, 0), np.float32)
    steps = np.zeros(strips.shape, np.uint8)
    steps[:, :-1] = cv2.absdiff(strips[:, :-1], strips[:, 1:])
    return block_means(steps)
