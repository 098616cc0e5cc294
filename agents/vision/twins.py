"""Do two declared cameras show one and the same: the same stream byte for byte, or the same view."""

from __future__ import annotations

from agents.vision.fingerprint import Fingerprint
from agents.vision.loop import Loop
from agents.vision.match import overlap

SAME_TOKENS_RATIO = 0.7
"""Of the tokens of one stream that are among the other's: some are not there yet, as one runs a little ahead."""

SAME_OVERLAP = 0.8
"""A look at the same view through another encoder; two rooms drawn alike reach 0.5."""


def same_stream(one: Loop, other: Loop) -> bool:
    """Tell whether two streams, watched at the same time, carry the same coded frames."""
    mine, yours = one.latest, other.latest
    if min(len(mine), len(yours)) < Loop.LEAST_TOLD:
        return False
    return len(mine & yours) >= SAME_TOKENS_RATIO * min(len(mine), len(yours))


def same_view(one: Fingerprint, other: Fingerprint) -> bool:
    """Tell whether two looks, taken about the same time by two cameras, are of one view."""
    return overlap(one, other) >= SAME_OVERLAP
