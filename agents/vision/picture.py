"""One decoded picture: its planes, on the video scale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.uint8]
"""A luma or chroma plane, shape (height, width)."""


@dataclass(frozen=True)
class Picture:
    """Planes of one picture, BT.601/709 video range (luma 16..235, chroma centred on 128), whatever the stream's was."""

    luma: Plane
    u: Plane
    """Half of luma's size each way in 4:2:0, of any size else; 128 everywhere for a stream without colour."""
    v: Plane
