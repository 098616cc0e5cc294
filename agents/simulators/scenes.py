"""Drawn scenes: a room seeded by its camera, with moving figures, sensor noise and a running clock, as I420 pictures."""

from __future__ import annotations

import hashlib
import math
import struct
import zlib
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Final, Protocol

import cv2
import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]
"""An I420 picture: (height * 3 / 2, width), the Y plane first, then U and V."""

Colour = tuple[int, int, int]


class _Box(Protocol):
    def __call__(
        self, left: float, top: float, right: float, bottom: float, colour: Colour, thickness: int = -1
    ) -> None: ...


_BLACK_LEVEL: Final = 17
_PLACEHOLDER_YUV: Final[Colour] = (
    41,
    240,
    110,
)  # the plain blue of a recorder's "no video" picture, BT.601 limited range
_SKIN_YUV: Final[Colour] = (142, 112, 148)
_NOISE_MARGIN: Final = 256
"""The noise is drawn once and shifted: it comes again in one picture of 65,536, and a recording is known by noise that does."""


def seed_number(seed: int | str) -> int:
    """Turn a camera's seed, a number or any text, into a number that is the same on every machine."""
    return seed if isinstance(seed, int) else zlib.crc32(seed.encode())


@dataclass(frozen=True)
class Figure:
    """A person who wanders from place to place, and never the same way again; positions and sizes are shares of the picture."""

    centre: tuple[float, float]
    reach: tuple[float, float]
    step_seconds: float
    seed: int
    size: float
    body: Colour
    head: Colour

    def place(self, at: float) -> tuple[float, float]:
        """Return where the figure's feet are at `at` (seconds), as shares of width and height."""
        steps = at / self.step_seconds
        step = math.floor(steps)
        gone = steps - step
        gone *= gone * (3 - 2 * gone)  # it sets out and comes to rest softly
        (from_x, from_y), (to_x, to_y) = self._stop(step), self._stop(step + 1)
        return (
            self.centre[0] + self.reach[0] * (from_x + (to_x - from_x) * gone),
            self.centre[1] + self.reach[1] * (from_y + (to_y - from_y) * gone),
        )

    def _stop(self, step: int) -> tuple[float, float]:
        """Return where it stands after so many steps, each way from -1 to 1: any place, told by the step alone."""
        told = hashlib.blake2b(struct.pack("<qq", self.seed, step), digest_size=8).digest()
        across, down = struct.unpack("<II", told)
        return across / 0x7FFFFFFF - 1, down / 0x7FFFFFFF - 1


class Scene:
    """What one camera sees; the same seed gives the same room at any picture size."""

    def __init__(
        self, seed: int | str, *, width: int = 352, height: int = 288, name: str = "", figures: int = 3
    ) -> None:
        """Draw the room once. `width` must be even and `height` a multiple of four, as I420 planes need."""
        if width % 2 or height % 4:
            raise ValueError(
                f"a picture of {width}x{height} has no I420 planes: width must be even, height a multiple of 4"
            )
        self.width, self.height, self.name = width, height, name
        rng = np.random.default_rng(seed_number(seed))
        self._room = _to_i420(_draw_room(rng, width, height))
        self._figures = [_any_figure(rng) for _ in range(figures)]
        self._light_period_seconds = float(rng.uniform(40, 90))
        self._noise_rng = np.random.default_rng(rng.integers(2**32))
        shape = (height + _NOISE_MARGIN, width + _NOISE_MARGIN)
        self._noise = np.clip(rng.normal(0, 2.5, shape), -10, 10).astype(np.int8)
        self._faint_noise = np.clip(rng.normal(0, 0.8, shape), -2, 2).astype(np.int8)

    def sensor(self, at: float) -> Picture:
        """Return what the sensor gives at the epoch second `at`, before the camera writes its clock."""
        picture = self._still(at)
        self._add_noise(picture, self._noise)
        return picture

    def room(self, at: float, zone: tzinfo) -> Picture:
        """Return the live picture of the epoch second `at`, its clock in `zone`."""
        return self._write_osd(self.sensor(at), at, zone)

    def dark(self, at: float, zone: tzinfo) -> Picture:
        """Return the same room with the light off: dark, noisy, but with its structure still there."""
        picture = self._still(at)
        picture[: self.height] = (picture[: self.height].astype(np.uint16) * 16 // 100 + 14).astype(np.uint8)
        picture[self.height :] = 128
        self._add_noise(picture, self._noise)
        return self._write_osd(picture, at, zone)

    def black(self, at: float, zone: tzinfo) -> Picture:
        """Return what a capped lens gives: black with faint sensor noise; the camera still writes its clock."""
        picture = self._plain((_BLACK_LEVEL, 128, 128))
        self._add_noise(picture, self._faint_noise)
        return self._write_osd(picture, at, zone)

    def covered(self, at: float, zone: tzinfo) -> Picture:
        """Return the room behind a hand: close to the lens, so without sharp edges, over two thirds of the view."""
        picture = self._still(at)
        for plane, divisor, value in zip(self._planes(picture), (1, 2, 2), _SKIN_YUV, strict=True):
            hand: npt.NDArray[np.float32] = np.zeros(plane.shape, np.float32)
            centre = (round(0.42 * self.width / divisor), round(0.62 * self.height / divisor))
            axes = (round(0.46 * self.width / divisor), round(0.56 * self.height / divisor))
            cv2.ellipse(hand, centre, axes, 20, 0, 360, 1.0, -1)
            hand = np.asarray(cv2.GaussianBlur(hand, (0, 0), 0.02 * self.width / divisor), np.float32)
            fall_off = 1 - 0.12 * np.linspace(0, 1, plane.shape[1], dtype=np.float32) * (divisor == 1)
            plane[:] = (plane * (1 - hand) + value * fall_off * hand).astype(np.uint8)
        self._add_noise(picture, self._noise)
        return self._write_osd(picture, at, zone)

    def moved(self, at: float, zone: tzinfo) -> Picture:
        """Return what the camera sees after somebody turned it: tilted, and nearer to one corner of the room."""
        picture = self._still(at)
        for plane in self._planes(picture):
            height, width = plane.shape
            turn = cv2.getRotationMatrix2D((0.62 * width, 0.42 * height), 9.0, 1.5)
            plane[:] = cv2.warpAffine(
                plane, turn, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
            )
        self._add_noise(picture, self._noise)
        return self._write_osd(picture, at, zone)

    def blurred(self, at: float, zone: tzinfo) -> Picture:
        """Return the room out of focus; the clock, written by the camera, stays sharp."""
        picture = self._still(at)
        for plane, divisor in zip(self._planes(picture), (1, 2, 2), strict=True):
            plane[:] = cv2.GaussianBlur(plane, (0, 0), self.width / 70 / divisor)
        self._add_noise(picture, self._noise)
        return self._write_osd(picture, at, zone)

    def placeholder(self) -> Picture:
        """Return a recorder's own picture for a channel without a signal."""
        picture = self._plain(_PLACEHOLDER_YUV)
        scale = self.height / 288
        cv2.putText(
            picture[: self.height], "NO VIDEO", (int(self.width * 0.28), int(self.height * 0.53)),
            cv2.FONT_HERSHEY_SIMPLEX, scale, 235, max(1, round(2 * scale)), cv2.LINE_AA,
        )  # fmt: skip
        return picture

    def with_clock(self, sensor: Picture, at: float, zone: tzinfo) -> Picture:
        """Return a copy of a sensor's picture whose clock shows `at`: a frozen sensor under a running overlay."""
        return self._write_osd(sensor.copy(), at, zone)

    def _plain(self, yuv: Colour) -> Picture:
        picture = np.empty((self.height * 3 // 2, self.width), np.uint8)
        for plane, value in zip(self._planes(picture), yuv, strict=True):
            plane[:] = value
        return picture

    def _planes(self, picture: Picture) -> tuple[Picture, Picture, Picture]:
        quarter, half = self.height // 4, (self.height // 2, self.width // 2)
        u = picture[self.height : self.height + quarter].reshape(half)
        v = picture[self.height + quarter :].reshape(half)
        return picture[: self.height], u, v

    def _still(self, at: float) -> Picture:
        picture = self._room.copy()
        for figure in self._figures:
            self._draw_figure(picture, figure, at)
        light = round(3 * math.sin(2 * math.pi * at / self._light_period_seconds))
        y = picture[: self.height]
        cv2.convertScaleAbs(y, dst=y, alpha=1.0, beta=light)  # daylight breathes
        return picture

    def _draw_figure(self, picture: Picture, figure: Figure, at: float) -> None:
        x, y = figure.place(at)
        tall = figure.size * (0.4 + y) * self.height  # nearer the camera is lower in the picture, and larger
        for plane, divisor, part in zip(self._planes(picture), (1, 2, 2), range(3), strict=True):
            px, py, size = x * self.width / divisor, y * self.height / divisor, tall / divisor
            body = (max(1, round(size * 0.17)), max(1, round(size * 0.36)))
            cv2.ellipse(plane, (round(px), round(py - size * 0.36)), body, 0, 0, 360, figure.body[part], -1)
            cv2.circle(plane, (round(px), round(py - size * 0.84)), max(1, round(size * 0.14)), figure.head[part], -1)

    def _add_noise(self, picture: Picture, noise: npt.NDArray[np.int8]) -> None:
        row, column = self._noise_rng.integers(0, _NOISE_MARGIN, 2)
        cut = noise[row : row + self.height, column : column + self.width]
        y = picture[: self.height]
        cv2.add(y, cut, dst=y, dtype=cv2.CV_8U)

    def _write_osd(self, picture: Picture, at: float, zone: tzinfo) -> Picture:
        y = picture[: self.height]
        clock = datetime.fromtimestamp(at, zone).strftime("%Y-%m-%d %H:%M:%S")
        band, size = round(self.height * 0.085), 0.5 * self.height / 288
        y[:band, : round(self.width * 0.62)] //= 2  # a half-transparent bar keeps the clock readable on a white wall
        name_left = max(4, self.width - 10 - round(20 * size * len(self.name)))
        for text, place in ((clock, (6, round(band * 0.8))), (self.name, (name_left, self.height - 8))):
            cv2.putText(y, text, place, cv2.FONT_HERSHEY_SIMPLEX, size, 235, 1, cv2.LINE_AA)
        return picture


def _to_i420(bgr: Picture) -> Picture:
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2YUV_I420), np.uint8)


def _any_figure(rng: np.random.Generator) -> Figure:
    shirt = rng.integers(0, 3)
    return Figure(
        centre=(float(rng.uniform(0.3, 0.7)), float(rng.uniform(0.7, 0.85))),
        reach=(float(rng.uniform(0.15, 0.3)), float(rng.uniform(0.04, 0.12))),
        step_seconds=float(rng.uniform(3, 6)),
        seed=int(rng.integers(1 << 62)),
        size=float(rng.uniform(0.25, 0.42)),
        body=((80, 90, 200), (150, 160, 110), (60, 150, 130))[shirt],
        head=(150, 112, 146),
    )


def _any_colour(rng: np.random.Generator, low: int, high: int) -> Colour:
    blue, green, red = (int(value) for value in rng.integers(low, high, 3))
    return blue, green, red


def _draw_room(rng: np.random.Generator, width: int, height: int) -> Picture:
    """Draw walls, door, window, furniture in shares of the picture, so that each size shows the same room."""
    room = np.empty((height, width, 3), np.uint8)
    horizon = float(rng.uniform(0.34, 0.46))
    room[:] = _any_colour(rng, 150, 205)
    room[round(horizon * height) :] = _any_colour(rng, 95, 150)

    def box(left: float, top: float, right: float, bottom: float, colour: Colour, thickness: int = -1) -> None:
        corner, other = (round(left * width), round(top * height)), (round(right * width), round(bottom * height))
        cv2.rectangle(room, corner, other, colour, thickness)

    _draw_openings(rng, horizon, box)
    rug = (round(rng.uniform(0.35, 0.65) * width), round(0.78 * height))
    cv2.ellipse(room, rug, (round(0.24 * width), round(0.12 * height)), 0, 0, 360, _any_colour(rng, 80, 200), -1)
    for _ in range(int(rng.integers(3, 6))):
        left, top = float(rng.uniform(0.03, 0.8)), float(rng.uniform(horizon + 0.02, 0.72))
        wide, tall = float(rng.uniform(0.09, 0.2)), float(rng.uniform(0.07, 0.16))
        colour = _any_colour(rng, 60, 190)
        box(left, top, left + wide, top + tall * 0.45, colour)
        for leg in (left, left + wide - 0.015):
            box(leg, top + tall * 0.45, leg + 0.015, top + tall, _any_colour(rng, 30, 80))
    return _with_texture(rng, room)


def _draw_openings(rng: np.random.Generator, horizon: float, box: _Box) -> None:
    door = float(rng.uniform(0.06, 0.3))
    box(door - 0.015, horizon - 0.29, door + 0.135, horizon + 0.05, (60, 75, 95))
    box(door, horizon - 0.27, door + 0.12, horizon + 0.05, _any_colour(rng, 90, 150))
    box(door + 0.1, horizon - 0.1, door + 0.112, horizon - 0.08, (40, 40, 40))
    window = float(rng.uniform(0.48, 0.66))
    box(window, horizon - 0.25, window + 0.28, horizon - 0.06, (245, 235, 225))
    box(window, horizon - 0.25, window + 0.28, horizon - 0.06, (70, 80, 90), 2)
    box(window + 0.138, horizon - 0.25, window + 0.145, horizon - 0.06, (70, 80, 90))
    for place in rng.uniform(0.35, 0.92, 4):
        box(float(place), horizon + 0.0, float(place) + 0.05, horizon + 0.045, _any_colour(rng, 50, 220))


def _with_texture(rng: np.random.Generator, room: Picture) -> Picture:
    """Give surfaces a grain and the corners less light, since no real wall is one flat value."""
    height, width = room.shape[:2]
    coarse = rng.normal(0, 14, (36, 44)).astype(np.float32)
    grain = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    rows, columns = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    fall_off = 1 - 0.22 * (rows**2 + columns**2)
    lit: Picture = np.clip((room.astype(np.float32) + grain[..., None]) * fall_off[..., None], 16, 235).astype(np.uint8)
    return lit
