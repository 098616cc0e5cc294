"""What colour does the picture have as a whole: percentiles of its chroma."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

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
    u, v = ([mine - yours for mine, yours in zip(seen[at : at + 3], usual[at : at + 3], strict=True)] for at in (0, 3))
    far = math.hypot(u[1], v[1])
    if far == 0 or _faded(seen, usual, far):
        return 0.0
    ends = min(u[1] * u[end] + v[1] * v[end] for end in (0, 2)) / far
    return far if ends >= WHOLE_SHARE * far else 0.0


def _faded(seen: Sequence[float], usual: Sequence[float], far: float) -> bool:
    """Tell whether a look's colours are the usual ones, paler."""
    pairs = list(zip(seen, usual, strict=True))
    power = sum(yours * yours for _, yours in pairs)
    left = min(1.0, max(0.0, sum(mine * yours for mine, yours in pairs) / power)) if power > 0 else 0.0
    return math.sqrt(sum((mine - left * yours) ** 2 for mine, yours in pairs) / len(pairs)) < FADED_SHARE * far
