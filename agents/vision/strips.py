"""A fixed sample of a picture's macroblocks in full detail: what noise and sameness are measured on, and kept for the next look."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from agents.vision.picture import Plane

BLOCK = 16
"""Side of a block in pixels: the codecs' own macroblock."""

SAMPLE_BYTES = 64 << 10
"""Of a picture at most, give or take a strip: four looks of 64 cameras of any size take 16 MiB."""

Blocks = npt.NDArray[np.uint8]
"""Shape (blocks, 16, 16)."""


def strips(luma: Plane) -> Plane:
    """Return whole rows of macroblocks spread evenly over the picture, one below the other: (16 n, 16 m).

    As much as SAMPLE_BYTES, without the tenth at top and bottom, where overlays are. Empty for a picture smaller than
    a block.
    """
    rows, width = luma.shape[0] // BLOCK, luma.shape[1] // BLOCK * BLOCK
    if not rows or not width:
        return np.empty((0, 0), np.uint8)
    whole = luma[: rows * BLOCK, :width].reshape(rows, BLOCK, width)
    return np.ascontiguousarray(whole[_chosen(rows, width)]).reshape(-1, width)


@lru_cache(maxsize=64)
def _chosen(rows: int, width: int) -> npt.NDArray[np.intp]:
    """Return which of so many rows of macroblocks are taken."""
    border = -(-rows // 10) if rows > 2 else 0
    inner = rows - 2 * border
    wanted = min(inner, max(4, SAMPLE_BYTES // (width * BLOCK)))
    return border + ((np.arange(wanted) + 0.5) * inner / wanted).astype(np.intp)


def block_means(values: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.float32]:
    """Return the mean of each block of numbers 0 to 4095 of the shape of strips, (16 n, 16 m): shape (rows, columns).

    Whole lines are added first, as whole numbers of 16 bits; then OpenCV adds neighbours, in a third of NumPy's time.
    """
    rows, columns = values.shape[0] // BLOCK, values.shape[1] // BLOCK
    if not rows or not columns:
        return np.empty((rows, columns), np.float32)
    lines = np.add.reduce(values.reshape(rows, BLOCK, -1), axis=1, dtype=np.uint16)
    sums = cv2.reduce(lines.reshape(-1, BLOCK), 1, cv2.REDUCE_SUM, dtype=cv2.CV_32F)
    return np.asarray(sums.reshape(rows, columns) / BLOCK**2, np.float32)
