"""A rough drawing of a view's edges, as text: what an officer sees of a view whose picture never leaves the site."""

from __future__ import annotations

from typing import Final

import numpy as np

from agents.vision.fingerprint import Fingerprint
from monitor.model.view import DIRECTIONS, NO_EDGE, Sketch

_STRONG_SHARE: Final = 0.97
"""Edges are drawn relative to the strong ones of the view itself: a dim room has edges, too."""

_CLEAR: Final = 0.5
_FAINT: Final = 0.2
"""Shares of a strong edge's strength from which an edge is drawn full, and drawn at all."""

_STEADY: Final = 0.5
"""What was there in fewer than half of the looks is somebody who walked by."""


def sketch(view: Fingerprint) -> Sketch:
    """Draw a view: a letter for each cell with an edge, by the edge's direction, a capital where it is clear."""
    edges = view.edges
    strong = max(float(np.quantile(edges.strength, _STRONG_SHARE)), 1e-9)
    share = np.where(view.steadiness >= _STEADY, edges.strength / strong, 0.0)
    # An edge runs across its gradient, whose direction is kept as a doubled angle.
    turn = np.arctan2(edges.sine, edges.cosine) / (2 * np.pi) + 0.5
    step = np.rint(turn * len(DIRECTIONS)).astype(int) % len(DIRECTIONS)
    rows = [
        "".join(
            NO_EDGE if value < _FAINT else DIRECTIONS[way].upper() if value >= _CLEAR else DIRECTIONS[way]
            for value, way in zip(values, ways, strict=True)
        )
        for values, ways in zip(share.tolist(), step.tolist(), strict=True)
    ]
    return Sketch(rows=tuple(rows))
