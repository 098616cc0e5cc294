"""What the stream itself tells between two looks: how large its frames are."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

MAX_FRAMES = 4096
"""Sizes kept between two looks at most; a look that is longer away is told by the newest."""


@dataclass(frozen=True)
class FlowStats:
    """The frames between keyframes, since the look before. None where there were none."""

    inter_bytes: float | None
    """Mean size."""
    inter_median: float | None
    """Median size: a running clock makes a frame a second larger, and leaves this."""


@dataclass
class Flow:
    """Sizes of the coded frames since the last look."""

    _inter: list[int] = field(default_factory=list)

    def frame(self, size: int, *, keyframe: bool) -> None:
        """Take note of one coded frame's bytes."""
        if keyframe:
            return
        self._inter.append(size)
        if len(self._inter) > MAX_FRAMES:
            del self._inter[: MAX_FRAMES // 2]

    def take(self) -> FlowStats:
        """Return what is known since the last time, and begin anew."""
        sizes, self._inter = self._inter, []
        if not sizes:
            return FlowStats(None, None)
        return FlowStats(float(np.mean(sizes)), float(np.median(sizes)))
