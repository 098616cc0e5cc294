"""People: drawn figures who walk, sit, gather and lean close to the lens."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.view.materials import Image, clouds, tint

Alpha = npt.NDArray[np.uint8]
"""How opaque each pixel is, 0 to 255, shape (height, width)."""

HIGH: Final = 192
WIDE: Final = 96
STEPS: Final = 4


@dataclass(frozen=True)
class Sprite:
    """A picture with a soft outline."""

    image: Image
    alpha: Alpha


def blend(canvas: Image, sprite: Sprite, left: int, top: int) -> None:
    """Lay a sprite over the canvas in place; what lies outside is cut off."""
    high, wide = sprite.alpha.shape
    height, width = canvas.shape[:2]
    x0, y0, x1, y1 = max(left, 0), max(top, 0), min(left + wide, width), min(top + high, height)
    if x1 <= x0 or y1 <= y0:
        return
    part = canvas[y0:y1, x0:x1]
    source = sprite.image[y0 - top : y1 - top, x0 - left : x1 - left]
    alpha = cv2.cvtColor(sprite.alpha[y0 - top : y1 - top, x0 - left : x1 - left], cv2.COLOR_GRAY2BGR)
    over = cv2.multiply(source, alpha, scale=1 / 255)
    under = cv2.multiply(part, cv2.bitwise_not(alpha), scale=1 / 255)
    canvas[y0:y1, x0:x1] = cv2.add(over, under)


def scaled(sprite: Sprite, wide: int, high: int) -> Sprite:
    """Return the sprite at another size."""
    method = cv2.INTER_AREA if high < sprite.alpha.shape[0] else cv2.INTER_LINEAR
    return Sprite(
        np.asarray(cv2.resize(sprite.image, (wide, high), interpolation=method), np.uint8),
        np.asarray(cv2.resize(sprite.alpha, (wide, high), interpolation=method), np.uint8),
    )


def _figure(rng: np.random.Generator) -> list[Sprite]:
    """Draw one person in the phases of a step."""
    shirt, trousers = tint(rng, (120, 110, 130), 60), tint(rng, (90, 75, 70), 35)
    skin, hair = tint(rng, (140, 175, 215), 18), tint(rng, (35, 40, 50), 20)
    cloth = 1 + 0.10 * clouds(rng, WIDE, HIGH, cells=5)
    cloth *= np.linspace(1.1, 0.75, WIDE, dtype=np.float32)[None, :]
    sprites = []
    for step in range(STEPS):
        swing = round(11 * math.sin(2 * math.pi * step / STEPS))
        image = np.zeros((HIGH, WIDE, 3), np.uint8)
        mask = np.zeros((HIGH, WIDE), np.uint8)
        for target, colours in ((image, None), (mask, 255)):
            for side in (-1, 1):
                foot = (WIDE // 2 + side * (8 + swing), HIGH - 5)
                cv2.line(target, (WIDE // 2 + side * 9, 105), foot, colours or trousers, 17, cv2.LINE_AA)
                hand = (WIDE // 2 + side * (25 + side * swing // 2), 108)
                cv2.line(target, (WIDE // 2 + side * 18, 52), hand, colours or shirt, 11, cv2.LINE_AA)
                cv2.circle(target, hand, 6, colours or skin, -1, cv2.LINE_AA)
            cv2.ellipse(target, (WIDE // 2, 82), (22, 40), 0, 0, 360, colours or shirt, -1, cv2.LINE_AA)
            cv2.circle(target, (WIDE // 2, 22), 17, colours or hair, -1, cv2.LINE_AA)
            cv2.ellipse(target, (WIDE // 2 + 3, 27), (12, 14), 0, 0, 360, colours or skin, -1, cv2.LINE_AA)
        shaded = np.clip(image * cloth[..., None], 0, 255).astype(np.uint8)
        sprites.append(
            Sprite(shaded, np.asarray(cv2.GaussianBlur(mask, (0, 0), 1.2), np.uint8)),
        )
    return sprites


@dataclass(frozen=True)
class Crowd:
    """Persons to choose from; the same seed gives the same ones."""

    figures: tuple[tuple[Sprite, ...], ...]

    @classmethod
    def of(cls, seed: int, count: int = 6) -> Crowd:
        """Draw `count` persons."""
        rng = np.random.default_rng([seed, 11])
        return cls(tuple(tuple(_figure(rng)) for _ in range(count)))

    def near(self, person: int, width: int, height: int, size: float) -> Sprite:
        """Return a person so close to the lens that head and shoulders are `size` views high, and out of focus."""
        figure = self.figures[person % len(self.figures)][0]
        half = Sprite(figure.image[: HIGH // 2], figure.alpha[: HIGH // 2])
        small = scaled(half, 24, 24)
        return scaled(small, int(width * size * 1.1), int(height * size))


@dataclass(frozen=True)
class Walk:
    """One person's visit: from when to when, and where; places are (across, depth) on the floor."""

    person: int
    start: float
    end: float
    places: tuple[tuple[float, float], ...]
    tall: float
    """Height as a share of the floor's width where the person stands."""
    sits: bool

    def place(self, at: float) -> tuple[float, float, int]:
        """Return across, depth and the phase of the step at `at` seconds: a stay at each place, and a way between."""
        share = (at - self.start) / max(self.end - self.start, 1e-6) * (len(self.places) - 1)
        leg = min(int(share), len(self.places) - 2)
        way = share - leg
        moving = min(max((way - 0.35) / 0.3, 0.0), 1.0)
        first, second = self.places[leg], self.places[leg + 1]
        sway = 0.004 * math.sin(at * 1.7 + self.person)
        across = first[0] + (second[0] - first[0]) * moving + sway
        depth = first[1] + (second[1] - first[1]) * moving
        phase = int(at * 3.1) % STEPS if 0 < moving < 1 else (self.person + int(at / 9)) % 2
        return across, depth, phase


def visits(rng: np.random.Generator, start: float, end: float, busy: float) -> list[Walk]:
    """Return the visits of a stretch of time: `busy` persons at once on the average, each for one to six minutes."""
    found: list[Walk] = []
    expected = busy * (end - start) / 150
    for _ in range(int(rng.poisson(expected))):
        begin = float(rng.uniform(start - 60, end))
        until = min(begin + float(rng.uniform(60, 360)), end)
        if until - max(begin, start) < 15:
            continue
        stops = max(2, int((until - begin) / rng.uniform(15, 60)))
        centre = rng.uniform((0.15, 0.25), (0.85, 0.8))
        spread = float(rng.choice([0.05, 0.25]))
        places = np.clip(rng.normal(centre, spread, (stops, 2)), (0.0, 0.12), (1.0, 0.9))
        places[0] = (rng.choice([-0.15, 1.15]), places[0][1])
        tall = float(rng.choice([0.16, 0.3], p=[0.6, 0.4]) * rng.uniform(0.9, 1.1))
        found.append(
            Walk(
                int(rng.integers(0, 6)),
                max(begin, start),
                until,
                tuple((float(across), float(depth)) for across, depth in places),
                tall,
                bool(rng.random() < 0.3),
            )
        )
    return found
