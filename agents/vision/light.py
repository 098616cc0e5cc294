"""Which light a picture was taken in, as far as its approved view depends on it."""

from __future__ import annotations

from typing import Final, Literal

import cv2
import numpy as np

from agents.vision.picture import Picture, Plane
from agents.vision.quantile import quantile
from agents.vision.structure import brought_to

Light = Literal["day", "infrared", "nap"]
"""day: colour, lit. infrared: no colour at all. nap: colour, but dim (curtains drawn, lamps off)."""

LIGHTS: Final[tuple[Light, ...]] = ("day", "infrared", "nap")

_CHROMA_GRID: Final = (32, 24)
"""Means over this many parts: the noise of single chroma pixels averages out."""

_COLOURLESS: Final = 1.5
"""Chroma steps: where hardly a part of the picture is further from grey, the sensor gave no colour.
Encoders leave a monochrome picture's chroma at 128, or one beside it."""

_COLOURED_SHARE: Final = 0.02
"""A share of parts that may have colour for other reasons: an overlay's text."""

_DIM: Final = 60.0
"""Median luma (video scale, 16 is black) under which a coloured picture is dim."""

_FROM_GREY: Final = np.abs(np.arange(256) - 128).astype(np.uint8)
"""Of each level of a chroma plane."""


def chroma_of(picture: Picture) -> float:
    """Return how far from grey the most coloured parts of the picture are, in chroma steps 0..128.

    It is the level that 2 % of the parts exceed.
    """
    return quantile(np.maximum(_away(picture.u), _away(picture.v)), 1 - _COLOURED_SHARE)


def _away(plane: Plane) -> Plane:
    return np.asarray(cv2.LUT(brought_to(plane, *_CHROMA_GRID), _FROM_GREY), np.uint8)


def light_of(chroma: float, luma: float) -> Light:
    """Name the light from a picture's chroma (`chroma_of`) and its median luma."""
    if chroma <= _COLOURLESS:
        return "infrared"
    return "nap" if luma < _DIM else "day"
