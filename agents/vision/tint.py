"""What colour does the picture have as a whole: percentiles of its chroma."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from agents.vision.cells import Cells
from agents.vision.quantile import quantiles

NEUTRAL = 128.0

FADED_SHARE = 0.2
"""Of the way that the median went, what is left that paler colours don't explain is a cast from here on."""

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
    only a part did, as with a coloured curtain, and where all of them only lost colour, as at dusk.
    """
    moved = np.subtract(seen, usual).reshape(2, 3)
    far = float(np.hypot(*moved[:, 1]))
    if far == 0 or _faded(seen, usual, far):
        return 0.0
    along = moved[:, 1] @ moved / far
    return far if min(along[0], along[2]) >= WHOLE_SHARE * far else 0.0


def _faded(seen: Sequence[float], usual: Sequence[float], far: float) -> bool:
    """Tell whether a look's colours are the usual ones, paler."""
    mine, yours = np.asarray(seen, np.float64), np.asarray(usual, np.float64)
    power = float(yours @ yours)
    left = min(1.0, max(0.0, float(mine @ yours) / power)) if power > 0 else 0.0
    return float(np.sqrt(((mine - left * yours) ** 2).mean())) < FADED_SHARE * far
