"""What colour does the picture have as a whole: percentiles of its chroma."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from agents.vision.cells import Cells
from agents.vision.quantile import quantiles

NEUTRAL = 128.0

WHOLE_SHARE = 1 / 3
"""A colour channel's gain moves dark parts by less; a curtain doesn't move the other parts at all."""


@dataclass(frozen=True)
class Tint:
    """Percentiles of the chroma of blocks, in levels from neutral; positive u is blue, positive v is red."""

    u_low: float
    """A fifth of the picture has less."""
    u_median: float
    u_high: float
    """A fifth of the picture has more."""
    v_low: float
    v_median: float
    v_high: float

    @property
    def ends(self) -> tuple[float, ...]:
        """The six percentiles, u first."""
        return (self.u_low, self.u_median, self.u_high, self.v_low, self.v_median, self.v_high)


def tint(cells: Cells) -> Tint:
    """Measure the chroma of a picture's blocks."""
    (u_low, u_median, u_high), (v_low, v_median, v_high) = (
        [value - NEUTRAL for value in quantiles(plane, 0.2, 0.5, 0.8)] for plane in (cells.u, cells.v)
    )
    return Tint(u_low, u_median, u_high, v_low, v_median, v_high)


def shift(seen: Sequence[float], usual: Sequence[float]) -> float:
    """Return by how much all of the picture went the same way, from the percentiles of two looks (`Tint.ends`).

    The median's way counts, where the least and the most coloured parts went a third as far along it; 0 where
    only a part did, as with a coloured curtain.
    """
    moved = np.subtract(seen, usual).reshape(2, 3)
    far = float(np.hypot(*moved[:, 1]))
    if far == 0:
        return 0.0
    along = moved[:, 1] @ moved / far
    return far if min(along[0], along[2]) >= WHOLE_SHARE * far else 0.0
