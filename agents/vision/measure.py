"""Numbers of one picture, and of a picture beside the one before it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.uint8]
"""A luma or chroma plane, shape (height, width), video range (16 is black)."""

BLOCK = 16
"""Side of a block in pixels: the codecs' own macroblock."""


@dataclass(frozen=True)
class Measures:
    """What was measured on one picture. Luma on the video scale, 16..235."""

    luma_mean: float
    luma_p95: float
    """95 % of the picture are no brighter: an OSD covers less than a twentieth."""
    flat_ratio: float
    """Share of the picture within 2 of its commonest luma: a drawn, noiseless surface."""
    noise: float
    """Median over blocks of the mean step between neighbouring pixels; a live sensor is never 0."""
    same_ratio: float | None
    """Share of blocks with any detail that are the same again as in the picture before; None where nothing tells."""

    def as_scores(self) -> dict[str, float | None]:
        """Return the numbers by name, rounded, as they are shown and reported."""
        return {name: None if value is None else round(float(value), 4) for name, value in vars(self).items()}


def measure(luma: Plane, before: Plane | None) -> Measures:
    """Measure a luma plane, and compare it with the plane of the look before."""
    histogram = np.bincount(luma.reshape(-1), minlength=256)
    total = int(histogram.sum())
    mode = int(histogram.argmax())
    detail = _detail(luma)
    near = histogram[max(0, mode - 2) : mode + 3].sum()
    return Measures(
        luma_mean=float(np.arange(256) @ histogram) / total,
        luma_p95=float(np.searchsorted(np.cumsum(histogram), 0.95 * total)),
        flat_ratio=float(near) / total,
        noise=float(np.median(detail)) if detail.size else 0.0,
        same_ratio=None if before is None or before.shape != luma.shape else _same(luma, detail, before),
    )


def _blocks(plane: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the mean of each whole block: shape (rows, columns)."""
    rows, columns = plane.shape[0] // BLOCK, plane.shape[1] // BLOCK
    whole = plane[: rows * BLOCK, : columns * BLOCK]
    means: npt.NDArray[np.float32] = whole.reshape(rows, BLOCK, columns, BLOCK).mean(axis=(1, 3), dtype=np.float32)
    return means


def _detail(luma: Plane) -> npt.NDArray[np.float32]:
    """Return the mean step between neighbouring pixels in each block."""
    return _blocks(np.abs(np.diff(luma.astype(np.int16), axis=1, append=luma[:, -1:])).astype(np.float32))


SAME_STEP = 0.25
"""A block whose pixels differ by less than this on average is the same block again, encoded again."""

DETAIL_STEP = 0.1
"""A block with less detail is a flat surface, clipped or smoothed: it is the same in every live picture, too."""

DETAILED_RATIO = 0.05
"""Where fewer blocks have detail, nothing is said."""


def _same(luma: Plane, detail: npt.NDArray[np.float32], before: Plane) -> float | None:
    difference = np.abs(luma.astype(np.int16) - before.astype(np.int16)).astype(np.float32)
    telling = detail >= DETAIL_STEP
    if not telling.size or telling.mean() < DETAILED_RATIO:
        return None
    return float((_blocks(difference)[telling] < SAME_STEP).mean())
