"""How much noise is in the picture: what neighbouring pixels of quiet surfaces differ by."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
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
    """Measure samples of a luma plane, its `detail`, and chroma planes, each of shape (16 n, 16 m); those of chroma are of one shape.

    The operator is the difference of two Laplacians: blind to ramps, edges along the axes nearly so (J. Immerkaer, Fast Noise
    Variance Estimation, CVIU 64(2), 1996).
    """
    noise = quantile(steps, 0.5) if strips.size else 0.0
    return Grain(noise, _sigmas(strips)[0], max(_sigmas(*chroma), default=0.0))


def _sigmas(*planes: Plane) -> list[float]:
    """Return the noise of each of some samples of one shape, measured as one below the other."""
    if not planes or not planes[0].size:
        return [0.0] * len(planes)
    strips = planes[0] if len(planes) == 1 else np.concatenate(planes)
    response = np.asarray(cv2.Sobel(strips, cv2.CV_16S, 2, 2, ksize=3))  # (1, -2, 1) across and down: 4080 at the most
    np.abs(response, out=response)
    seams = response.reshape(-1, BLOCK, response.shape[1])
    seams[:, 0] = seams[:, -1] = seams[:, 1]  # rows of the strips that are no neighbours in the picture
    blocks, means = (block_means(part).reshape(len(planes), -1) for part in (response.view(np.uint16), strips))
    return [_quiet(*part) * _TO_SIGMA for part in zip(blocks, (means > 24) & (means < 220), strict=True)]


def _quiet(blocks: Field, exposed: npt.NDArray[np.bool_]) -> float:
    """Return what the quieter of the exposed blocks have, or of all where hardly any is."""
    some = blocks[exposed]
    return quantile(blocks if some.size < max(4, blocks.size // 5) else some, QUIET_PERCENT / 100)


def detail(strips: Plane) -> Field:
    """Return the mean step between neighbouring pixels in each block; the last column has no neighbour."""
    if not strips.size:
        return np.empty((0, 0), np.float32)
    steps = np.zeros(strips.shape, np.uint8)
    steps[:, :-1] = cv2.absdiff(strips[:, :-1], strips[:, 1:])
    return block_means(steps)
