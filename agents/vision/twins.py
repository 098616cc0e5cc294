"""Do two declared cameras show one and the same: the same stream byte for byte, or the same view."""

from __future__ import annotations

from agents.vision.fingerprint import Fingerprint
from agents.vision.loop import Loop
from agents.vision.pair import OVERLAY_ROWS, Pair, ratio

SAME_TOKENS_RATIO = 0.7
"""Of the tokens of one stream that are among the other's: some are not there yet, as one runs a little ahead."""

SAME_OVERLAP = 0.8
"""A look at the same view through another encoder; two rooms drawn alike reach 0.5."""

LEAST_CELLS = 40.0
"""Cells whose structure counts fully, in the middle rows alone: all cameras of a recorder write clock and name at the same
places, and by these two bare walls are one."""


def same_stream(one: Loop, other: Loop) -> bool:
    """Tell whether two streams, watched at the same time, carry the same coded frames."""
    mine, yours = one.latest, other.latest
    if min(len(mine), len(yours)) < Loop.LEAST_TOLD:
        return False
    return len(mine & yours) >= SAME_TOKENS_RATIO * min(len(mine), len(yours))


def same_view(one: Fingerprint, other: Fingerprint) -> bool:
    """Tell whether two looks, taken about the same time by two cameras, are of one view."""
    return one.light == other.light and min(_shared(one, other), _shared(other, one)) >= SAME_OVERLAP


def _shared(seen: Fingerprint, beside: Fingerprint) -> float:
    """Return how much of one look's structure is in the other; 0 where there is too little to tell two rooms apart."""
    pair, inner = Pair(seen, beside), slice(OVERLAY_ROWS, -OVERLAY_ROWS)
    weight = pair.weight[inner]
    counted = float(weight.sum())
    return 0.0 if counted < LEAST_CELLS else ratio(float((weight * pair.present[inner]).sum()), counted)
