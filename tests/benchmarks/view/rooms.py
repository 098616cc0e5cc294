"""Drawn rooms and yards in perspective: walls, floor and furniture of a family, from a seed."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.view import materials
from benchmarks.view.materials import Colour, Image

Quad = npt.NDArray[np.float32]
"""Four corners (x, y): far or top left, far or top right, near or bottom right, near or bottom left."""

_UNIT: Final = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)


@dataclass(frozen=True)
class Geometry:
    """Where things are in a canvas, so that people can walk and decorations hang."""

    floor: Quad
    wall: Quad
    """The wall opposite."""
    windows: tuple[Quad, ...] = ()
    door: Quad | None = None

    def on_floor(self, across: float, depth: float) -> tuple[float, float, float]:
        """Return canvas x, y and the width in pixels of the floor there; `depth` is 0 near and 1 far."""
        ends = np.array([[[0.0, 1 - depth]], [[1.0, 1 - depth]], [[across, 1 - depth]]], np.float32)
        left, right, point = cv2.perspectiveTransform(ends, homography(self.floor))[:, 0]
        return float(point[0]), float(point[1]), float(abs(right[0] - left[0]))


@dataclass(frozen=True)
class Room:
    """A drawn room, without people and before any light."""

    canvas: Image
    geometry: Geometry


@dataclass(frozen=True)
class Family:
    """What rooms of one kind are made of: material and colour of each surface, and how much stands in them."""

    back: tuple[str, ...]
    side: tuple[str, ...]
    ground: tuple[str, ...]
    top: tuple[str, ...]
    back_colour: Colour
    ground_colour: Colour
    top_colour: Colour = (205, 208, 210)
    windows: tuple[int, int] = (1, 3)
    posters: tuple[int, int] = (2, 6)
    shelves: tuple[int, int] = (1, 3)
    tables: tuple[int, int] = (1, 4)
    cots: tuple[int, int] = (0, 0)
    door: bool = True
    outdoors: bool = False
    narrow: float = 0.0
    """0: a room; up to 0.12: a corridor, whose far wall is small."""
    steep: float = 0.0
    """Up to 0.2: the camera hangs high and looks down, so that the floor fills most of the view."""
    pillars: tuple[int, int] = (0, 0)
    marks: tuple[int, int] = (0, 0)
    """Lines painted on the floor."""
    passers: tuple[int, int] = (0, 0)
    """Persons close to the camera, in pictures that are played forth and back like footage."""


FAMILIES: Final[dict[str, Family]] = {
    # for tuning
    "playroom": Family(
        ("wallpaper", "two_tone"), ("plaster", "wallpaper"), ("planks",), ("plaster",), (150, 195, 205), (85, 130, 175)
    ),
    "whitebox": Family(
        ("plaster",),
        ("plaster",),
        ("plaster",),
        ("plaster",),
        (178, 182, 184),
        (150, 155, 160),
        windows=(0, 1),
        posters=(0, 1),
        shelves=(0, 1),
        tables=(0, 1),
    ),
    "corridor": Family(
        ("two_tone",),
        ("two_tone", "plaster"),
        ("checker",),
        ("ceiling_grid",),
        (165, 185, 175),
        (135, 140, 145),
        windows=(0, 0),
        posters=(2, 5),
        shelves=(0, 1),
        tables=(0, 0),
        narrow=0.1,
    ),
    "entrance": Family(
        ("plaster", "panel"),
        ("fence",),
        ("asphalt",),
        ("sky",),
        (130, 150, 175),
        (95, 98, 100),
        (215, 170, 120),
        windows=(2, 5),
        posters=(0, 2),
        shelves=(0, 0),
        tables=(0, 1),
        outdoors=True,
    ),
    "gymnasium": Family(
        ("plaster", "two_tone"),
        ("plaster", "panel"),
        ("concrete", "concrete", "planks", "carpet"),
        ("ceiling_grid",),
        (150, 165, 172),
        (95, 120, 140),
        windows=(0, 3),
        posters=(0, 2),
        shelves=(0, 2),
        tables=(0, 1),
        steep=0.17,
        pillars=(0, 4),
        marks=(4, 9),
    ),
    "depot": Family(
        ("plaster", "panel"),
        ("plaster", "panel"),
        ("plaster", "concrete"),
        ("ceiling_grid",),
        (155, 165, 170),
        (150, 158, 162),
        windows=(0, 2),
        posters=(0, 2),
        shelves=(1, 4),
        tables=(0, 1),
        steep=0.17,
        pillars=(0, 2),
        marks=(0, 3),
        passers=(1, 2),
    ),
    "yard": Family(
        ("roughcast",),
        ("roughcast", "fence"),
        ("gravel", "gravel", "asphalt"),
        ("sky",),
        (150, 165, 175),
        (125, 132, 138),
        (220, 190, 150),
        windows=(1, 4),
        posters=(0, 2),
        shelves=(0, 1),
        tables=(0, 2),
        outdoors=True,
    ),
    "passage": Family(
        ("blocks", "roughcast"),
        ("blocks",),
        ("cobbles", "gravel"),
        ("sky", "plaster"),
        (130, 145, 160),
        (120, 128, 135),
        (215, 190, 160),
        windows=(0, 3),
        posters=(0, 2),
        shelves=(0, 1),
        tables=(0, 2),
        outdoors=True,
    ),
    # for scoring
    "dining": Family(
        ("tile", "panel"),
        ("tile",),
        ("speckled",),
        ("ceiling_grid",),
        (185, 190, 170),
        (125, 150, 160),
        windows=(1, 2),
        tables=(4, 8),
    ),
    "naproom": Family(
        ("panel", "wallpaper"),
        ("panel",),
        ("carpet",),
        ("plaster",),
        (140, 165, 190),
        (125, 105, 95),
        windows=(1, 3),
        tables=(0, 0),
        cots=(4, 10),
    ),
    "office": Family(
        ("plaster", "brick"),
        ("plaster",),
        ("carpet",),
        ("ceiling_grid",),
        (170, 172, 165),
        (110, 95, 85),
        shelves=(3, 6),
        tables=(2, 4),
    ),
    "lobby": Family(
        ("brick",),
        ("brick", "panel"),
        ("paving",),
        ("plaster",),
        (90, 110, 165),
        (140, 150, 155),
        windows=(0, 2),
        shelves=(0, 2),
        tables=(0, 2),
    ),
    "courtyard": Family(
        ("brick", "tile"),
        ("hedge",),
        ("paving",),
        ("sky",),
        (120, 140, 170),
        (125, 135, 140),
        (225, 190, 150),
        windows=(3, 6),
        posters=(0, 1),
        shelves=(0, 0),
        tables=(1, 3),
        outdoors=True,
    ),
    "nursery_white": Family(
        ("plaster",),
        ("plaster",),
        ("speckled",),
        ("plaster",),
        (172, 184, 188),
        (165, 165, 160),
        windows=(1, 1),
        posters=(0, 2),
        shelves=(0, 1),
        tables=(0, 2),
    ),
    "stairwell": Family(
        ("two_tone", "brick"),
        ("tile",),
        ("tile",),
        ("plaster",),
        (150, 160, 160),
        (120, 125, 130),
        windows=(0, 1),
        posters=(1, 3),
        shelves=(0, 0),
        tables=(0, 0),
        narrow=0.06,
    ),
}


def homography(quad: Quad) -> npt.NDArray[np.float64]:
    """Return the mapping of the unit square onto `quad`."""
    return np.asarray(cv2.getPerspectiveTransform(_UNIT, quad), np.float64)


def inside(quad: Quad, left: float, top: float, right: float, bottom: float) -> Quad:
    """Return the part of `quad` between shares of its sides."""
    corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float32)[:, None]
    return np.asarray(cv2.perspectiveTransform(corners, homography(quad))[:, 0], np.float32)


def paste(canvas: Image, texture: Image, quad: Quad) -> None:
    """Draw a square texture into a quadrilateral of the canvas, in place; only what lies within it is touched."""
    height, width = canvas.shape[:2]
    left, top = np.clip(np.floor(quad.min(axis=0)), 0, (width, height)).astype(int)
    right, bottom = np.clip(np.ceil(quad.max(axis=0)) + 1, 0, (width, height)).astype(int)
    if right <= left or bottom <= top:
        return
    high, wide = texture.shape[:2]
    local = (quad - (left, top)).astype(np.float32)
    corners = np.array([[0, 0], [wide, 0], [wide, high], [0, high]], np.float32)
    size = (int(right - left), int(bottom - top))
    matrix = cv2.getPerspectiveTransform(corners, local)
    warped = cv2.warpPerspective(texture, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    mask = np.zeros((size[1], size[0]), np.uint8)
    cv2.fillConvexPoly(mask, np.round(local).astype(np.int32), 255)
    cv2.copyTo(warped, mask, canvas[top:bottom, left:right])


def _shaded(rng: np.random.Generator, names: tuple[str, ...], colour: Colour, level: float, fall: float) -> Image:
    """A material whose light falls off from top to bottom by `fall`."""
    texture = materials.MATERIALS[str(rng.choice(names))](rng, colour).astype(np.float32)
    light = np.linspace(level, level * (1 - fall), texture.shape[0], dtype=np.float32)[:, None, None]
    return materials.to_image(texture * light)


def draw_box(
    canvas: Image, geometry: Geometry, rng: np.random.Generator, spot: tuple[float, float, float, float], high: float
) -> None:
    """Draw a cuboid that stands on the floor: `spot` is across, depth, width, length; `high` a share of floor width."""
    across, depth, wide, long = spot
    colour = materials.tint(rng, (120, 150, 170), 45)
    base = [
        geometry.on_floor(u, v)
        for u, v in (
            (across, depth + long),
            (across + wide, depth + long),
            (across + wide, depth),
            (across, depth),
        )
    ]
    feet = np.array([(x, y) for x, y, _ in base], np.float32)
    tops = np.array([(x, y - high * scale) for x, y, scale in base], np.float32)
    material = str(rng.choice(["planks", "plaster", "speckled"]))
    texture = materials.MATERIALS[material](rng, colour)
    for side, level in (((0, 3), 0.6), ((1, 2), 0.65), ((3, 2), 0.78)):
        first, second = side
        quad = np.array([tops[first], tops[second], feet[second], feet[first]], np.float32)
        paste(canvas, materials.to_image(texture * np.float32(level)), quad)
    paste(canvas, texture, tops)
    outline = np.round(tops).astype(np.int32)
    cv2.polylines(canvas, [outline], True, tuple(0.45 * value for value in colour), 1)


def draw_poster(rng: np.random.Generator) -> Image:
    """A picture on a wall: a frame, shapes, lines of text."""
    image = materials.filled(materials.tint(rng, (190, 200, 205), 35), 128).astype(np.uint8)
    for _ in range(int(rng.integers(2, 6))):
        x, y, size = (int(value) for value in rng.integers(15, 110, 3))
        cv2.circle(image, (x, y), size // 4, materials.tint(rng, (120, 120, 150), 70), -1, cv2.LINE_AA)
    for y in range(80, 120, 9):
        cv2.line(image, (14, y), (int(rng.integers(60, 116)), y), (60, 60, 60), 2)
    cv2.rectangle(image, (0, 0), (127, 127), materials.tint(rng, (70, 80, 90), 40), 6)
    return image


def _window(rng: np.random.Generator) -> Image:
    """Daylight behind a frame."""
    image = np.ascontiguousarray(materials.sky(rng, (235, 215, 200))[::4, ::4])
    skyline = int(rng.integers(70, 110))
    image[skyline:] = materials.tint(rng, (130, 160, 140), 25)
    frame = materials.tint(rng, (205, 205, 205), 20)
    cv2.rectangle(image, (0, 0), (127, 127), frame, 9)
    cv2.line(image, (64, 0), (64, 127), frame, 6)
    return image


def door_leaf(rng: np.random.Generator) -> Image:
    """A closed door with a handle and a pane."""
    colour = materials.tint(rng, (105, 140, 170), 35)
    image = materials.filled(colour, 128).astype(np.uint8)
    cv2.rectangle(image, (0, 0), (127, 127), tuple(0.5 * value for value in colour), 6)
    cv2.rectangle(image, (40, 14), (88, 56), (170, 170, 165), -1)
    cv2.circle(image, (112, 70), 5, (40, 40, 40), -1)
    return image


def _mark(canvas: Image, geometry: Geometry, rng: np.random.Generator, count: int) -> None:
    """Paint lines on the floor: along it, across it and in circles, thinner the farther away they are."""
    colours = [materials.tint(rng, colour, 25) for colour in ((60, 50, 190), (210, 210, 205), (60, 190, 215))]
    for _ in range(count):
        colour = colours[int(rng.integers(0, len(colours)))]
        first, second = rng.uniform(-0.1, 1.1, 2)
        if rng.random() < 0.25:
            angles = np.linspace(0, 2 * np.pi, 60)
            spots = [(first + 0.14 * np.cos(angle), 0.5 * second + 0.25 + 0.16 * np.sin(angle)) for angle in angles]
        elif rng.random() < 0.5:
            spots = [(first, depth) for depth in np.linspace(0.02, 0.98, 60)]
        else:
            spots = [(across, np.clip(second, 0.05, 0.9)) for across in np.linspace(0.0, 1.0, 60)]
        places = [geometry.on_floor(float(across), float(depth)) for across, depth in spots]
        for (x, y, wide), (to_x, to_y, _) in itertools.pairwise(places):
            ends = (round(x), round(y)), (round(to_x), round(to_y))
            cv2.line(canvas, *ends, colour, max(1, round(0.006 * wide)), cv2.LINE_AA)


def _furnish(canvas: Image, geometry: Geometry, rng: np.random.Generator, family: Family) -> None:
    """Draw what stands on the floor, far things first."""
    tables, shelves, cots = (
        int(rng.integers(fewest, most + 1)) for fewest, most in (family.tables, family.shelves, family.cots)
    )
    if family.marks[1]:
        _mark(canvas, geometry, rng, int(rng.integers(family.marks[0], family.marks[1] + 1)))
    pieces = [
        (rng.uniform(0.1, 0.75), rng.uniform(0.3, 0.85), rng.uniform(0.12, 0.22), 0.1, rng.uniform(0.06, 0.1))
        for _ in range(tables)
    ]
    pieces += [
        (rng.uniform(0.0, 0.85), rng.uniform(0.86, 0.9), rng.uniform(0.1, 0.2), 0.08, rng.uniform(0.12, 0.3))
        for _ in range(shelves)
    ]
    pieces += [(rng.uniform(0.05, 0.8), rng.uniform(0.25, 0.8), 0.12, 0.15, 0.04) for _ in range(cots)]
    if family.pillars[1]:
        pieces += [
            (rng.uniform(0.0, 0.95), rng.uniform(0.4, 0.9), 0.04, 0.03, 0.5)
            for _ in range(int(rng.integers(family.pillars[0], family.pillars[1] + 1)))
        ]
    for across, depth, wide, long, high in sorted(pieces, key=lambda piece: -piece[1]):
        draw_box(canvas, geometry, rng, (across, depth, wide, long), high)


def _frame(rng: np.random.Generator, width: int, height: int, family: Family) -> tuple[Quad, Quad]:
    """Return the outline of the canvas and the far wall within it."""
    narrow, steep = family.narrow, family.steep
    left, right = rng.uniform(0.27, 0.36) + narrow - steep, rng.uniform(0.62, 0.73) - narrow + steep
    top, bottom = rng.uniform(0.24, 0.31) + narrow / 2 - steep, rng.uniform(0.47, 0.56) - narrow / 3 - steep
    corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float32)
    return _UNIT * (width, height), (corners * (width, height)).astype(np.float32)


def draw_room(family_name: str, seed: int, width: int, height: int) -> Room:
    """Draw a room of a family on a canvas of `width` x `height`; the same seed gives the same room."""
    family = FAMILIES[family_name]
    rng = np.random.default_rng([seed, 7])
    edge, wall = _frame(rng, width, height, family)
    canvas = np.zeros((height, width, 3), np.uint8)
    floor = np.array([wall[3], wall[2], edge[2] + (0.25 * width, 0), edge[3] - (0.25 * width, 0)], np.float32)
    paste(
        canvas,
        _shaded(rng, family.top, family.top_colour, 1.0, 0.2),
        np.array([edge[0], edge[1], wall[1], wall[0]], np.float32),
    )
    left, right = (
        np.array([edge[0], wall[0], wall[3], edge[3]], np.float32),
        np.array([wall[1], edge[1], edge[2], wall[2]], np.float32),
    )
    paste(canvas, _shaded(rng, family.side, family.back_colour, 0.85, 0.25), left)
    paste(canvas, _shaded(rng, family.side, family.back_colour, 0.72, 0.2), right)
    paste(canvas, _shaded(rng, family.back, family.back_colour, 1.0, 0.12), wall)
    paste(canvas, _shaded(rng, family.ground, family.ground_colour, 0.8, -0.25), floor)
    for joint in ((wall[0], edge[0]), (wall[1], edge[1]), (wall[3], edge[3]), (wall[2], edge[2])):
        first, second = (tuple(np.round(point).astype(int).tolist()) for point in joint)
        cv2.line(canvas, first, second, (80, 85, 88), 2, cv2.LINE_AA)
    cv2.polylines(canvas, [np.round(wall).astype(np.int32)], True, (85, 90, 92), 2, cv2.LINE_AA)
    geometry = _openings(canvas, rng, family, Geometry(floor, wall), (left, right))
    _furnish(canvas, geometry, rng, family)
    grey = cv2.cvtColor(cv2.cvtColor(canvas, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    muted = cv2.addWeighted(canvas, rng.uniform(0.5, 0.8), grey, rng.uniform(0.2, 0.4), 0)
    return _seen_askew(rng, np.asarray(cv2.GaussianBlur(muted, (0, 0), 0.6), np.uint8), geometry)


def _seen_askew(rng: np.random.Generator, canvas: Image, geometry: Geometry) -> Room:
    """Return the room as a camera sees it that doesn't hang straight opposite the far wall."""
    height, width = canvas.shape[:2]
    edge = _UNIT * (width, height)
    seen = (edge + rng.uniform(-0.13, 0.13, (4, 2)) * (width, height)).astype(np.float32)
    turn = cv2.getPerspectiveTransform(edge.astype(np.float32), seen)

    def moved(quad: Quad) -> Quad:
        return np.asarray(cv2.perspectiveTransform(quad[:, None], turn)[:, 0], np.float32)

    return Room(
        np.asarray(cv2.warpPerspective(canvas, turn, (width, height), borderMode=cv2.BORDER_REFLECT_101), np.uint8),
        Geometry(
            moved(geometry.floor),
            moved(geometry.wall),
            tuple(moved(window) for window in geometry.windows),
            None if geometry.door is None else moved(geometry.door),
        ),
    )


def _openings(
    canvas: Image, rng: np.random.Generator, family: Family, geometry: Geometry, sides: tuple[Quad, Quad]
) -> Geometry:
    """Draw windows, posters and a door; return the geometry with them."""
    surfaces = (geometry.wall, *sides)
    windows: list[Quad] = []
    for _ in range(int(rng.integers(family.windows[0], family.windows[1] + 1))):
        at = rng.uniform(0.05, 0.75)
        quad = inside(surfaces[int(rng.integers(0, 3))], at, 0.18, at + 0.2, rng.uniform(0.5, 0.62))
        paste(canvas, _window(rng), quad)
        windows.append(quad)
    for _ in range(int(rng.integers(family.posters[0], family.posters[1] + 1))):
        at, high = rng.uniform(0.03, 0.85), rng.uniform(0.2, 0.5)
        quad = inside(surfaces[int(rng.integers(0, 3))], at, high, at + rng.uniform(0.06, 0.14), high + 0.22)
        paste(canvas, draw_poster(rng), quad)
    door = None
    if family.door:
        at = rng.uniform(0.1, 0.75)
        door = inside(surfaces[int(rng.integers(0, 3))], at, 0.3, at + 0.15, 0.99)
        paste(canvas, door_leaf(rng), door)
    return Geometry(geometry.floor, geometry.wall, tuple(windows), door)
