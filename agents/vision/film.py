"""One frame of a film beside the earlier look that it is held against."""

from __future__ import annotations

import math
from typing import NamedTuple

from agents.vision.imprint import Imprint, imprint
from agents.vision.offset import Offset, offset
from agents.vision.picture import Plane

MOST_OFF = 0.6
"""Pixels: of a recording, encoded anew, hardly one frame in fifty seems to lie farther off."""


class FilmFrame(NamedTuple):
    """What is left of it."""

    imprint: Imprint
    offset: Offset | None
    """Where it lies beside that look; None where that doesn't tell."""

    @property
    def meets(self) -> bool:
        """Tell whether their places meet, as far as is known: else their noise can't."""
        return self.offset is None or math.hypot(self.offset.right, self.offset.down) <= MOST_OFF


def film_frame(strips: Plane, earlier: Imprint) -> FilmFrame | None:
    """Return what a frame's strips, (16 n, 16 m), leave; None for a picture that is too small."""
    left = imprint(strips)
    return None if left is None else FilmFrame(left, offset(strips, earlier))
