"""Is it the same picture again: blocks beside those of the look before."""

from __future__ import annotations

import numpy as np

from agents.vision.grain import detail
from agents.vision.picture import Plane
from agents.vision.strips import block_means

SAME_STEP = 0.25
"""A block whose pixels differ by less than this on average is the same block again, encoded again."""

DETAIL_STEP = 0.1
"""A block with less detail is a flat surface, clipped or smoothed: it is the same in every live picture, too."""

DETAILED_RATIO = 0.05
"""Where fewer blocks have detail, nothing is said."""


def same_ratio(strips: Plane, before: Plane | None) -> float | None:
    """Return the share of blocks with any detail that are the same again; None where nothing tells."""
    if before is None or before.shape != strips.shape or not strips.size:
        return None
    telling = detail(strips) >= DETAIL_STEP
    if telling.mean() < DETAILED_RATIO:
        return None
    difference = np.abs(strips.astype(np.int16) - before.astype(np.int16)).astype(np.float32)
    return float((block_means(difference)[telling] < SAME_STEP).mean())
