"""Is the picture damaged by lost data: seams along the codec's grid, smeared blocks, blocks of a decoder's grey or green."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from agents.vision.picture import Picture, Plane
from agents.vision.strips import BLOCK, block_means

STRONG_STEP = 14
"""Levels between two neighbouring pixels that no deblocking filter leaves standing without an edge in the picture."""
TEXTURE_STEP = 1.5
"""A block whose pixels differ by as much along one axis..."""
SMEARED_RATIO = 0.08
"""...and by less than this share of it along the other is a row or column drawn out."""


@dataclass(frozen=True)
class Smear:
    """What damage looks like."""

    seam_ratio: float
    """How many times as many strong steps lie on the grid of macroblocks as beside it; 1 in a whole picture."""
    seam_share: float
    """Share of the grid's pixels that lie on a strong step, less what lies beside the grid."""
    smeared_ratio: float
    """Share of blocks that are one row or column drawn out."""
    void_ratio: float
    """Share of blocks of exactly the grey or green that a decoder begins with."""


def smear(picture: Picture) -> Smear:
    """Measure a picture."""
    luma = picture.luma
    across = np.abs(np.diff(luma.astype(np.int16), axis=1))
    down = np.abs(np.diff(luma.astype(np.int16), axis=0))
    on_x, off_x = _strong(across.T)
    on_y, off_y = _strong(down)
    on, off = (on_x + on_y) / 2, (off_x + off_y) / 2
    return Smear(
        seam_ratio=(on + 0.002) / (off + 0.002),
        seam_share=max(0.0, on - off),
        smeared_ratio=_smeared(across, down),
        void_ratio=_void(picture),
    )


def _strong(steps: npt.NDArray[np.int16]) -> tuple[float, float]:
    """Return the share of strong steps on the lines between macroblocks, and on the lines half-way between."""
    on, off = steps[BLOCK - 1 :: BLOCK], steps[BLOCK // 2 - 2 :: BLOCK]
    if not on.size or not off.size:
        return 0.0, 0.0
    return float((on >= STRONG_STEP).mean()), float((off >= STRONG_STEP).mean())


def _smeared(across: npt.NDArray[np.int16], down: npt.NDArray[np.int16]) -> float:
    rows, columns = down.shape[0] // BLOCK * BLOCK, across.shape[1] // BLOCK * BLOCK
    x = block_means(across[:rows, :columns].astype(np.float32))
    y = block_means(down[:rows, :columns].astype(np.float32))
    if not x.size or x.shape != y.shape:
        return 0.0
    more, less = np.maximum(x, y), np.minimum(x, y)
    return float(((more >= TEXTURE_STEP) & (less <= SMEARED_RATIO * more)).mean())


def _void(picture: Picture) -> float:
    """Return the share of cells that are grey or green to a level in all three planes."""
    import cv2

    rows, columns = picture.luma.shape[0] // BLOCK, picture.luma.shape[1] // BLOCK
    if not rows or not columns:
        return 0.0
    y, u, v = (
        cv2.resize(plane, (columns, rows), interpolation=cv2.INTER_AREA).astype(np.int16)
        for plane in (picture.luma, picture.u, picture.v)
    )
    flat = _flat(picture.luma[: rows * BLOCK, : columns * BLOCK])
    grey = (np.abs(y - 128) <= 3) & (np.abs(u - 128) <= 1) & (np.abs(v - 128) <= 1)
    green = (u <= 24) & (v <= 24)
    return float((flat & (grey | green)).mean())


def _flat(luma: Plane) -> npt.NDArray[np.bool_]:
    blocks = luma.reshape(luma.shape[0] // BLOCK, BLOCK, luma.shape[1] // BLOCK, BLOCK)
    highest, lowest = blocks.max(axis=3).max(axis=1), blocks.min(axis=3).min(axis=1)
    return np.asarray(highest.astype(np.int16) - lowest <= 3, np.bool_)
