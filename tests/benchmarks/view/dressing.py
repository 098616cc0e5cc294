"""What people change in a room without touching the camera: curtains, cots, decoration, a partition, a door."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from benchmarks.view import materials
from benchmarks.view.materials import Image
from benchmarks.view.people import Alpha
from benchmarks.view.rooms import Geometry, Quad, draw_box, draw_poster, inside, paste

_KEY: Final = (255, 0, 254)
"""A colour that nothing is drawn in."""


@dataclass(frozen=True)
class Overlay:
    """Drawn things and where they are; everything outside the mask is untouched."""

    left: int
    top: int
    image: Image
    mask: Alpha

    def apply(self, canvas: Image) -> None:
        """Lay it over the canvas, in place."""
        high, wide = self.mask.shape
        cv2.copyTo(self.image, self.mask, canvas[self.top : self.top + high, self.left : self.left + wide])


def _cloth(rng: np.random.Generator, folds: float) -> Image:
    """A textile that hangs: folds, and a print."""
    texture = materials.wallpaper(rng, materials.tint(rng, (150, 140, 150), 50)).astype(np.float32)
    across = np.linspace(0, 2 * np.pi * folds, materials.SIZE) + rng.uniform(0, 6)
    wave = 1 + 0.22 * np.sin(across + 0.5 * np.sin(across * 0.37))
    return materials.to_image(texture * wave.astype(np.float32)[None, :, None])


def _grown(quad: Quad, share: float) -> Quad:
    centre = quad.mean(axis=0)
    return np.asarray(centre + (quad - centre) * (1 + share), np.float32)


def curtains(canvas: Image, geometry: Geometry, rng: np.random.Generator) -> None:
    """Close the curtains of every window."""
    cloth = _cloth(rng, 7)
    for window in geometry.windows:
        paste(canvas, cloth, _grown(window, 0.15))


def cots(canvas: Image, geometry: Geometry, rng: np.random.Generator) -> None:
    """Put cots over the whole floor, in rows."""
    across, down = int(rng.integers(4, 7)), int(rng.integers(3, 5))
    for row in range(down):
        for column in range(across):
            spot = (0.04 + 0.92 * column / across, 0.85 - 0.65 * row / down, 0.6 / across, 0.4 / down)
            draw_box(canvas, geometry, rng, spot, 0.03)


def decoration(canvas: Image, geometry: Geometry, rng: np.random.Generator) -> None:
    """Put up new pictures and paper shapes on the far wall."""
    for _ in range(int(rng.integers(4, 9))):
        at, high = rng.uniform(0.02, 0.85), rng.uniform(0.08, 0.6)
        paste(canvas, draw_poster(rng), inside(geometry.wall, at, high, at + rng.uniform(0.06, 0.13), high + 0.16))


def hangings(canvas: Image, geometry: Geometry, rng: np.random.Generator) -> None:
    """Hang garlands and lanterns under the ceiling."""
    height, width = canvas.shape[:2]
    for _ in range(int(rng.integers(2, 5))):
        y0, y1 = rng.uniform(0.17, 0.34, 2) * height
        sag = rng.uniform(0.01, 0.05) * height
        colour = materials.tint(rng, (60, 70, 200), 50)
        for step in range(24):
            share = step / 23
            x = int(width * (0.15 + 0.7 * share))
            y = int(y0 + (y1 - y0) * share + sag * np.sin(np.pi * share))
            size = max(3, width // 130)
            if step % 3:
                flag = np.array([(x - size, y), (x + size, y), (x, y + 2 * size)], np.int32)
                cv2.fillConvexPoly(canvas, flag, materials.tint(rng, colour, 40))
            else:
                cv2.ellipse(canvas, (x, y + 2 * size), (2 * size, int(2.4 * size)), 0, 0, 360, colour, -1)


def partition(canvas: Image, geometry: Geometry, rng: np.random.Generator) -> None:
    """Stand a folded cloth partition in the room: up to a fifth of the view."""
    at, depth = rng.uniform(0.1, 0.6), rng.uniform(0.45, 0.7)
    wide, high = rng.uniform(0.2, 0.32), rng.uniform(0.16, 0.22)
    (x0, y0, scale), (x1, y1, _) = geometry.on_floor(at, depth), geometry.on_floor(at + wide, depth)
    top = high * scale
    quad = np.array([(x0, y0 - top), (x1, y1 - top), (x1, y1), (x0, y0)], np.float32)
    paste(canvas, _cloth(rng, 5), quad)


def furniture(canvas: Image, geometry: Geometry, rng: np.random.Generator) -> None:
    """Push a few things to where none were."""
    for _ in range(int(rng.integers(1, 4))):
        spot = (rng.uniform(0.1, 0.8), rng.uniform(0.3, 0.8), rng.uniform(0.06, 0.14), 0.08)
        draw_box(canvas, geometry, rng, spot, rng.uniform(0.03, 0.09))


def door(canvas: Image, geometry: Geometry, rng: np.random.Generator) -> None:
    """Open the door: the leaf seen from its edge, and what lies behind."""
    if geometry.door is None:
        return
    behind = materials.plaster(rng, (95, 100, 105))
    paste(canvas, behind, geometry.door)
    leaf = materials.plaster(rng, (110, 130, 150))
    paste(canvas, leaf, inside(geometry.door, 0.0, 0.0, 0.22, 1.0))


DRESSINGS: Final[dict[str, Callable[[Image, Geometry, np.random.Generator], None]]] = {
    "curtains": curtains,
    "cots": cots,
    "decoration": decoration,
    "hangings": hangings,
    "partition": partition,
    "furniture": furniture,
    "door": door,
}


def overlay(name: str, seed: int, geometry: Geometry, width: int, height: int) -> Overlay:
    """Draw one kind of change on its own, so that it can be laid over a drawn room and over footage alike."""
    canvas = np.empty((height, width, 3), np.uint8)
    canvas[:] = _KEY
    DRESSINGS[name](canvas, geometry, np.random.default_rng([seed, 13]))
    drawn = (canvas != np.array(_KEY, np.uint8)).any(axis=2)
    rows, columns = np.flatnonzero(drawn.any(axis=1)), np.flatnonzero(drawn.any(axis=0))
    if not rows.size:
        return Overlay(0, 0, canvas[:1, :1], np.zeros((1, 1), np.uint8))
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    mask = np.where(drawn[box], np.uint8(255), np.uint8(0))
    return Overlay(int(columns[0]), int(rows[0]), np.ascontiguousarray(canvas[box]), mask)
