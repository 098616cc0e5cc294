"""How a device begins its stream: at once, or with its next keyframe, however far away that is."""

from __future__ import annotations

LATE_SECONDS = 2.0
"""A first frame that comes later than this had waited for the device's next keyframe."""
SURE_BEGINS = 3
"""So often a device is seen to begin at once before it is believed to do so always: a keyframe may have been near by chance."""


class Begins:
    """What was seen of one device's beginnings."""

    def __init__(self) -> None:
        """Know of none."""
        self.late = False
        """Whether it was seen to begin with its next keyframe."""
        self._at_once = 0

    def began(self, seconds: float) -> None:
        """Its first frame came so long after PLAY was answered."""
        if seconds > LATE_SECONDS:
            self.late = True
        else:
            self._at_once += 1

    @property
    def always_at_once(self) -> bool:
        """Whether silence at the beginning tells that something is wrong, however short it is."""
        return not self.late and self._at_once >= SURE_BEGINS
