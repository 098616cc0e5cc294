"""Between the place and the picture: light, exposure, lens, infrared, sensor noise."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.view.materials import Image, clouds

Planar = npt.NDArray[np.uint8]
"""A picture as I420: luma, then quartered U and V, shape (height * 3 / 2, width), video range."""

_MARGIN: Final = 64


@dataclass(frozen=True)
class Light:
    """What falls on the sensor, after exposure."""

    gain: float = 1.0
    gamma: float = 1.0
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Blue, green, red."""
    noise: float = 1.5
    """Deviation of luma in levels; a third of it reaches the colours."""
    infrared: bool = False


def lit(view: Image, light: Light) -> Image:
    """Return the view under a light: gain with a soft shoulder, gamma, tint."""
    levels = np.linspace(0, 1, 256)
    curves = []
    for channel in light.tint:
        bright = (levels * light.gain * channel) ** light.gamma
        shoulder = np.where(bright > 0.8, 0.8 + 0.25 * (1 - np.exp(-(bright - 0.8) / 0.25)), bright)
        curves.append(np.clip(255 * shoulder, 0, 255))
    if light.tint == (1.0, 1.0, 1.0):
        return np.asarray(cv2.LUT(view, curves[0].astype(np.uint8)), np.uint8)
    table = np.stack(curves, axis=-1).astype(np.uint8)[None]
    return np.asarray(cv2.LUT(view, table), np.uint8)


@functools.lru_cache(maxsize=8)
def vignette(width: int, height: int, strength: float) -> npt.NDArray[np.uint8]:
    """Return a mask, 255 in the middle, darker towards the corners by `strength` (0..1), shape (height, width, 3)."""
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    mask = 255 * (1 - strength * np.clip((x**2 + y**2) / 2, 0, 1) ** 1.2)
    return np.repeat(mask.astype(np.uint8)[..., None], 3, axis=2)


def infrared(view: Image, strength: float) -> Image:
    """Return the view as an infrared camera sees it: grey, other contrasts, its own lamp in the middle."""
    mixed = cv2.transform(view, np.array([[0.05, 0.25, 0.8]], np.float32))
    grey = cv2.cvtColor(cv2.convertScaleAbs(mixed, alpha=0.8, beta=12), cv2.COLOR_GRAY2BGR)
    height, width = view.shape[:2]
    return np.asarray(cv2.multiply(grey, vignette(width, height, strength), scale=1 / 255), np.uint8)


def to_planar(view: Image) -> Planar:
    """Convert BGR to I420 of video range."""
    return np.asarray(cv2.cvtColor(view, cv2.COLOR_BGR2YUV_I420), np.uint8)


class Noise:
    """Sensor noise, drawn once and shifted at random: a new field for each picture would cost more than all else."""

    def __init__(self, width: int, height: int, rng: np.random.Generator) -> None:
        """Draw the fields of one picture size."""
        self._rng = rng
        self._shape = (height * 3 // 2, width)
        rough = rng.standard_normal((self._shape[0] + _MARGIN, width + _MARGIN)).astype(np.float32)
        soft = cv2.GaussianBlur(rough, (0, 0), 0.6)
        self._unit = soft / soft.std()
        self._fields: dict[int, npt.NDArray[np.int16]] = {}

    def _field(self, deviation: float) -> npt.NDArray[np.int16]:
        level = max(1, round(deviation * 4))
        if level not in self._fields:
            if len(self._fields) >= 6:
                self._fields.clear()
            self._fields[level] = np.round(self._unit * (level / 4)).astype(np.int16)
        return self._fields[level]

    def over(self, picture: Planar, deviation: float, *, colour: float = 0.33) -> Planar:
        """Return the picture with noise of `deviation` levels in luma and `colour` times that in U and V."""
        out = np.empty_like(picture)
        luma = self._shape[0] * 2 // 3
        for rows, level in ((np.s_[:luma], deviation), (np.s_[luma:], deviation * colour)):
            top, left = self._rng.integers(0, _MARGIN, 2)
            part = picture[rows]
            if level < 0.1:
                out[rows] = part
                continue
            field = self._field(level)[top : top + part.shape[0], left : left + part.shape[1]]
            out[rows] = cv2.add(part, np.ascontiguousarray(field), dtype=cv2.CV_8U)
        return out


def rain_field(rng: np.random.Generator, width: int, height: int) -> Image:
    """Return streaks to be added to a view."""
    field = np.zeros((height, width), np.uint8)
    slant = float(rng.uniform(-0.2, 0.2))
    for x, y, long in zip(
        rng.integers(0, width, 160),
        rng.integers(0, height, 160),
        rng.integers(height // 20, height // 8, 160),
        strict=True,
    ):
        cv2.line(
            field, (int(x), int(y)), (int(x + slant * long), int(y + long)), int(rng.integers(15, 45)), 1, cv2.LINE_AA
        )
    return np.asarray(cv2.cvtColor(field, cv2.COLOR_GRAY2BGR), np.uint8)


def glow(rng: np.random.Generator, width: int, height: int, size: float) -> Image:
    """Return a soft patch of light to be added to a view, `size` views wide."""
    x, y = rng.uniform(0.1, 0.9) * width, rng.uniform(0.2, 0.9) * height
    rows, columns = np.mgrid[0:height:4, 0:width:4].astype(np.float32)
    blob = np.exp(-(((columns - x) / (size * width)) ** 2 + ((rows - y) / (0.7 * size * height)) ** 2))
    blob *= 1 + 0.2 * clouds(rng, blob.shape[1], blob.shape[0])
    bright = cv2.resize(np.clip(110 * blob, 0, 255).astype(np.uint8), (width, height))
    return np.asarray(cv2.cvtColor(bright, cv2.COLOR_GRAY2BGR), np.uint8)
