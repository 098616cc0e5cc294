"""Surfaces of drawn rooms: each a square BGR texture from a seed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
"""Pixels, shape (height, width, 3), BGR."""
Field = npt.NDArray[np.float32]
"""One value a pixel, shape (height, width)."""
Colour = tuple[float, float, float]

SIZE: Final = 512


def clouds(rng: np.random.Generator, width: int, height: int, *, cells: int = 4, octaves: int = 4) -> Field:
    """Return smooth noise of mean 0 and unit deviation, with `octaves` scales from `cells` blobs across downwards."""
    total = np.zeros((height, width), np.float32)
    for octave in range(octaves):
        across = min(cells * 2**octave, width)
        down = min(max(1, round(across * height / width)), height)
        grid = rng.standard_normal((down, across)).astype(np.float32)
        total += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC) * 0.55**octave
    return np.asarray((total - total.mean()) / (total.std() + 1e-6), np.float32)


def shade(image: npt.NDArray[np.floating], field: Field) -> npt.NDArray[np.floating]:
    """Multiply every channel of `image` by `field`."""
    return image * field[..., None]


def tint(rng: np.random.Generator, colour: Colour, spread: float = 12.0) -> Colour:
    """Return a colour near `colour`."""
    drawn = np.clip(np.array(colour) + rng.normal(0, spread) + rng.normal(0, 0.6 * spread, 3), 8, 235)
    return float(drawn[0]), float(drawn[1]), float(drawn[2])


def filled(colour: Colour, size: int = SIZE) -> npt.NDArray[np.float32]:
    """Return a float texture of one colour."""
    return np.full((size, size, 3), colour, np.float32)


def to_image(texture: npt.NDArray[np.floating]) -> Image:
    """Clip a float texture to pixels."""
    return np.asarray(np.clip(texture, 0, 255), np.uint8)


def _stained(rng: np.random.Generator, texture: npt.NDArray[np.floating], strength: float) -> Image:
    """Add the unevenness of age and light."""
    fine = rng.standard_normal((SIZE, SIZE)).astype(np.float32)
    return to_image(shade(texture, 1 + strength * clouds(rng, SIZE, SIZE) + 0.25 * strength * fine))


def plaster(rng: np.random.Generator, colour: Colour) -> Image:
    """A painted wall."""
    return _stained(rng, filled(tint(rng, colour)), 0.02)


def two_tone(rng: np.random.Generator, colour: Colour) -> Image:
    """A wall with a painted dado below."""
    texture = filled(tint(rng, colour))
    edge = int(SIZE * rng.uniform(0.55, 0.7))
    texture[edge:] = tint(rng, (150, 170, 110), 40)
    cv2.line(texture, (0, edge), (SIZE, edge), (70, 70, 70), 3)
    return _stained(rng, texture, 0.025)


def wallpaper(rng: np.random.Generator, colour: Colour) -> Image:
    """Printed dots or stripes."""
    texture = filled(tint(rng, colour))
    print_colour = tint(rng, (170, 150, 190), 45)
    step = int(rng.integers(28, 60))
    if rng.random() < 0.5:
        for x in range(0, SIZE, step):
            cv2.rectangle(texture, (x, 0), (x + step // 3, SIZE), print_colour, -1)
    else:
        for row, y in enumerate(range(0, SIZE, step)):
            for x in range((row % 2) * step // 2, SIZE, step):
                cv2.circle(texture, (x, y), step // 5, print_colour, -1, cv2.LINE_AA)
    return _stained(rng, texture, 0.03)


def _coursed(rng: np.random.Generator, colour: Colour, size: tuple[int, int], joint: Colour, spread: float) -> Image:
    """Stones of `size` (wide, high) in courses, every second one shifted by half."""
    wide, high = size
    texture = filled(joint)
    for row, y in enumerate(range(0, SIZE, high)):
        for x in range(-(row % 2) * wide // 2, SIZE, wide):
            cv2.rectangle(texture, (x + 1, y + 1), (x + wide - 3, y + high - 3), tint(rng, colour, spread), -1)
    return _stained(rng, texture, 0.06)


def brick(rng: np.random.Generator, colour: Colour) -> Image:
    """A brick wall."""
    return _coursed(rng, colour, (int(rng.integers(44, 64)), int(rng.integers(18, 26))), (150, 155, 160), 16)


def tile(rng: np.random.Generator, colour: Colour) -> Image:
    """Glazed tiles with grey joints."""
    step = int(rng.integers(34, 64))
    texture = filled(tint(rng, colour))
    accent = tint(rng, (190, 170, 120), 50)
    for y in range(0, SIZE, step):
        for x in range(0, SIZE, step):
            if rng.random() < 0.08:
                cv2.rectangle(texture, (x, y), (x + step, y + step), accent, -1)
        cv2.line(texture, (0, y), (SIZE, y), (120, 120, 120), 2)
        cv2.line(texture, (y, 0), (y, SIZE), (120, 120, 120), 2)
    return _stained(rng, texture, 0.03)


def panel(rng: np.random.Generator, colour: Colour) -> Image:
    """Vertical wooden boards."""
    return np.ascontiguousarray(np.rot90(planks(rng, colour)))


def planks(rng: np.random.Generator, colour: Colour) -> Image:
    """Floor boards with grain."""
    texture = filled(colour)
    step = int(rng.integers(24, 48))
    for y in range(0, SIZE, step):
        texture[y : y + step] = tint(rng, colour, 10)
        cv2.line(texture, (0, y), (SIZE, y), tuple(0.5 * value for value in colour), 2)
        for joint in rng.integers(0, SIZE, 2):
            cv2.line(texture, (int(joint), y), (int(joint), y + step), tuple(0.55 * value for value in colour), 2)
    grain = cv2.GaussianBlur(rng.standard_normal((SIZE, SIZE)).astype(np.float32), (0, 0), 9, sigmaY=0.8)
    return _stained(rng, shade(texture, 1 + 0.5 * grain), 0.05)


def checker(rng: np.random.Generator, colour: Colour) -> Image:
    """Linoleum squares of two colours."""
    step = int(rng.integers(48, 90))
    texture = filled(tint(rng, colour))
    other = tuple(0.72 * value for value in colour)
    for row, y in enumerate(range(0, SIZE, step)):
        for x in range((row % 2) * step, SIZE, 2 * step):
            cv2.rectangle(texture, (x, y), (x + step, y + step), other, -1)
    return _stained(rng, texture, 0.04)


def carpet(rng: np.random.Generator, colour: Colour) -> Image:
    """A rough floor."""
    pile = cv2.GaussianBlur(rng.standard_normal((SIZE, SIZE)).astype(np.float32), (0, 0), 1.5)
    return _stained(rng, shade(filled(tint(rng, colour)), 1 + 0.35 * pile), 0.06)


def speckled(rng: np.random.Generator, colour: Colour) -> Image:
    """Terrazzo or vinyl with chips."""
    texture = filled(tint(rng, colour))
    for x, y, size in zip(rng.integers(0, SIZE, 700), rng.integers(0, SIZE, 700), rng.integers(1, 5, 700), strict=True):
        cv2.circle(texture, (int(x), int(y)), int(size), tint(rng, colour, 40), -1)
    return _stained(rng, texture, 0.03)


def asphalt(rng: np.random.Generator, colour: Colour) -> Image:
    """A road with a painted line."""
    texture = filled(tint(rng, colour))
    x = int(rng.uniform(0.2, 0.8) * SIZE)
    cv2.rectangle(texture, (x, 0), (x + 14, SIZE), (190, 200, 200), -1)
    grit = rng.standard_normal((SIZE, SIZE)).astype(np.float32)
    return _stained(rng, shade(texture, 1 + 0.12 * grit), 0.08)


def gravel(rng: np.random.Generator, colour: Colour) -> Image:
    """Small stones, each of its own shade."""
    texture = 0.7 * filled(colour)
    count = 9000
    places = rng.integers(0, SIZE, (count, 2))
    for (x, y), size, light in zip(places, rng.integers(2, 6, count), rng.uniform(0.75, 1.25, count), strict=True):
        cv2.circle(texture, (int(x), int(y)), int(size), tuple(float(light) * value for value in colour), -1)
    return _stained(rng, texture, 0.05)


def roughcast(rng: np.random.Generator, colour: Colour) -> Image:
    """A wall of coarse plaster in raking light."""
    bumps = cv2.GaussianBlur(rng.standard_normal((SIZE, SIZE)).astype(np.float32), (0, 0), 2.0)
    relief = cv2.Sobel(bumps, cv2.CV_32F, 1, 0) + cv2.Sobel(bumps, cv2.CV_32F, 0, 1)
    return _stained(rng, shade(filled(tint(rng, colour)), 1 + 0.1 * relief / relief.std()), 0.05)


def blocks(rng: np.random.Generator, colour: Colour) -> Image:
    """A wall of bare concrete blocks."""
    return _coursed(rng, colour, (int(rng.integers(40, 64)), int(rng.integers(20, 32))), (170, 172, 172), 9)


def cobbles(rng: np.random.Generator, colour: Colour) -> Image:
    """Small square stones."""
    size = int(rng.integers(14, 24))
    return _coursed(rng, colour, (size, size), (80, 82, 84), 20)


def concrete(rng: np.random.Generator, colour: Colour) -> Image:
    """A worn floor: slabs with faint joints, stains and scratches."""
    worn = shade(filled(tint(rng, colour)), 1 + 0.1 * clouds(rng, SIZE, SIZE, cells=9))
    step = int(rng.integers(110, 190))
    for at in range(int(rng.integers(0, step)), SIZE, step):
        for ends in (((at, 0), (at, SIZE)), ((0, at), (SIZE, at))):
            cv2.line(worn, *ends, tuple(0.75 * value for value in colour), 2, cv2.LINE_AA)
    for x, y, across, down in rng.integers((0, 0, -40, -40), (SIZE, SIZE, 40, 40), (60, 4)):
        ends = (int(x), int(y)), (int(x + across), int(y + down))
        cv2.line(worn, *ends, tuple(1.12 * value for value in colour), 1, cv2.LINE_AA)
    return _stained(rng, worn, 0.05)


def paving(rng: np.random.Generator, colour: Colour) -> Image:
    """Paving stones."""
    return _coursed(rng, colour, (int(rng.integers(50, 90)), int(rng.integers(40, 60))), (90, 95, 98), 12)


def ceiling_grid(rng: np.random.Generator, colour: Colour) -> Image:
    """Suspended ceiling."""
    texture = filled(tint(rng, colour, 6))
    step = SIZE // int(rng.integers(5, 9))
    for at in range(0, SIZE, step):
        cv2.line(texture, (0, at), (SIZE, at), (150, 150, 150), 3)
        cv2.line(texture, (at, 0), (at, SIZE), (150, 150, 150), 3)
    return _stained(rng, texture, 0.02)


def sky(rng: np.random.Generator, colour: Colour) -> Image:
    """Clouds."""
    cover = np.clip(0.5 + 0.4 * clouds(rng, SIZE, SIZE, cells=3), 0, 1)
    white = np.array((225, 222, 220), np.float32)
    return to_image(filled(tint(rng, colour)) * (1 - cover[..., None]) + white * cover[..., None])


def hedge(rng: np.random.Generator, colour: Colour) -> Image:
    """Leaves."""
    leaves = clouds(rng, SIZE, SIZE, cells=24, octaves=3)
    return _stained(rng, shade(filled(tint(rng, colour)), 1 + 0.32 * leaves), 0.08)


def fence(rng: np.random.Generator, colour: Colour) -> Image:
    """Bars before a dim yard."""
    texture = to_image(shade(filled((120, 140, 130)), 1 + 0.15 * clouds(rng, SIZE, SIZE))).astype(np.float32)
    step = int(rng.integers(20, 36))
    bar = tint(rng, colour)
    for x in range(0, SIZE, step):
        cv2.rectangle(texture, (x, 30), (x + 5, SIZE), bar, -1)
    for y in (60, SIZE - 90):
        cv2.rectangle(texture, (0, y), (SIZE, y + 8), bar, -1)
    return _stained(rng, texture, 0.04)


MATERIALS: Final[dict[str, Callable[[np.random.Generator, Colour], Image]]] = {
    "plaster": plaster,
    "two_tone": two_tone,
    "wallpaper": wallpaper,
    "brick": brick,
    "tile": tile,
    "panel": panel,
    "planks": planks,
    "checker": checker,
    "carpet": carpet,
    "speckled": speckled,
    "asphalt": asphalt,
    "gravel": gravel,
    "roughcast": roughcast,
    "blocks": blocks,
    "cobbles": cobbles,
    "concrete": concrete,
    "paving": paving,
    "ceiling_grid": ceiling_grid,
    "sky": sky,
    "hedge": hedge,
    "fence": fence,
}
