"""A picture averaged over macroblocks: what is asked of the whole picture needs no more."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from agents.vision.picture import Picture, Plane
from agents.vision.strips import BLOCK


@dataclass(frozen=True)
class Cells:
    """Means of each whole block of 16 x 16 pixels of luma, and of the chroma that belongs to it; all of one shape."""

    y: Plane
    u: Plane
    v: Plane


def cells(picture: Picture) -> Cells:
    """Average a picture. One smaller than a block is one cell."""
    return Cells(_means(picture.luma, picture.luma), _means(picture.u, picture.luma), _means(picture.v, picture.luma))


def _means(plane: Plane, luma: Plane) -> Plane:
    """Return a plane's means for luma's blocks, of whole numbers of pixels.

    Whole lines are added first, 31 at the most, as whole numbers of 16 bits: in half of the time that OpenCV's means take.
    """
    rows, columns = max(1, luma.shape[0] // BLOCK), max(1, luma.shape[1] // BLOCK)
    high, wide = max(1, plane.shape[0] // rows), max(1, plane.shape[1] // columns)
    whole = plane[: rows * high, : columns * wide]
    lines = np.add.reduce(whole.reshape(rows, high, -1), axis=1, dtype=np.uint16)
    sums = cv2.reduce(lines.reshape(-1, wide), 1, cv2.REDUCE_SUM, dtype=cv2.CV_32F)
    return np.asarray(np.rint(sums.reshape(rows, columns) / np.float32(high * wide)), np.uint8)
