"""Rooms drawn for the tests of the approved view, and what happens to them: arrays of BGR, to be looked at by a camera."""

from __future__ import annotations

import io
from functools import lru_cache

import av
import cv2
import numpy as np
import numpy.typing as npt

from agents.vision.picture import Picture, Plane

Image = npt.NDArray[np.uint8]
"""BGR, shape (height, width, 3)."""

WIDTH, HEIGHT = 704, 576


def drawn_room(seed: int, width: int = WIDTH, height: int = HEIGHT) -> Image:
    """Draw a room in perspective: walls, a door, a window, pictures on the wall, furniture on the floor."""
    rng = np.random.default_rng(seed)
    large = np.zeros((1152, 1408, 3), np.uint8)
    wall, floor = rng.uniform(130, 215, 3), rng.uniform(60, 150, 3)
    horizon = int(rng.uniform(450, 650))
    left, right = int(rng.uniform(150, 350)), int(rng.uniform(1050, 1250))
    large[:] = wall
    _polygon(large, [(0, 1152), (0, 900), (left, horizon), (right, horizon), (1408, 900), (1408, 1152)], floor)
    _polygon(large, [(0, 0), (left, 120), (left, horizon), (0, 900)], wall * 0.8)
    _polygon(large, [(1408, 0), (right, 120), (right, horizon), (1408, 900)], wall * 0.88)
    door = int(rng.uniform(left + 30, left + 250))
    _box(large, door, horizon - 330, 150, 330, rng.uniform(40, 120, 3))
    _box(large, int(rng.uniform(door + 200, right - 280)), 160, 240, 160, np.array([235.0, 230, 220]))
    for _ in range(int(rng.integers(3, 6))):
        x, y = rng.uniform(left, right - 90), rng.uniform(140, horizon - 120)
        _box(large, int(x), int(y), int(rng.uniform(40, 90)), int(rng.uniform(40, 90)), rng.uniform(30, 220, 3))
    for _ in range(int(rng.integers(4, 8))):
        x, y = rng.uniform(20, 1150), rng.uniform(horizon, 1000)
        _box(large, int(x), int(y), int(rng.uniform(90, 250)), int(rng.uniform(50, 130)), rng.uniform(30, 220, 3))
    return resized(large, width, height)


def boarded(room: Image, seed: int) -> Image:
    """Lay a floor of boards over all but the room's far wall: long lines that are nearly the same all over, and short joints."""
    rng, found, dark = np.random.default_rng(seed), room.copy(), (58, 70, 80)
    height, width = found.shape[:2]
    line, step = 0.36 * height, 0.016 * height
    found[int(line) :] = (96, 118, 130)
    while line < height:
        joint = int(rng.integers(0, width))
        cv2.line(found, (0, int(line)), (width, int(line + 0.024 * height)), dark, 2, cv2.LINE_AA)
        cv2.line(found, (joint, int(line)), (joint - 4, int(line + step)), dark, 2, cv2.LINE_AA)
        line, step = line + step, step * 1.16
    return found


def _polygon(image: Image, points: list[tuple[int, int]], colour: npt.NDArray[np.float64]) -> None:
    cv2.fillPoly(image, [np.array(points, np.int32)], tuple(map(float, colour)), cv2.LINE_AA)


def _box(image: Image, x: int, y: int, width: int, height: int, colour: npt.NDArray[np.float64]) -> None:
    cv2.rectangle(image, (x, y), (x + width, y + height), tuple(map(float, colour)), -1)
    cv2.rectangle(image, (x, y), (x + width, y + height), tuple(map(float, colour * 0.4)), 4)


def resized(image: Image, width: int, height: int) -> Image:
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def person(image: Image, place: float, size: float) -> Image:
    """Draw a person who stands at `place` of the width, as high as `size` of the picture."""
    found, height = image.copy(), image.shape[0]
    tall, x = int(size * height), int(place * image.shape[1])
    foot = int(height * (0.5 + size * 0.5))
    cv2.ellipse(
        found, (x, foot - tall * 4 // 10), (tall // 6, tall * 4 // 10), 0, 0, 360, (60, 50, 120), -1, cv2.LINE_AA
    )
    cv2.line(found, (x, foot - tall * 7 // 10), (x - tall // 10, foot - tall // 10), (30, 25, 70), 4, cv2.LINE_AA)
    cv2.circle(found, (x, foot - tall * 9 // 10), tall // 9, (120, 150, 200), -1, cv2.LINE_AA)
    return found


def lit(image: Image, gain: float = 1.0, gamma: float = 1.0, offset: float = 0.0) -> Image:
    """Return the picture under another exposure."""
    bright = 255 * np.clip(image / 255.0 * gain, 0, 1) ** gamma + offset
    return np.asarray(np.clip(bright, 0, 255), np.uint8)


@lru_cache(maxsize=16)
def _grain(seed: int, height: int, width: int) -> npt.NDArray[np.float32]:
    """Return noise of a deviation of 1, shape (height, width, 1). Kept: many pictures have the same, and it is dear to draw."""
    return np.random.default_rng(seed).normal(0, 1, (height, width, 1)).astype(np.float32)


def grainy(image: Image, sigma: float, seed: int = 0) -> Image:
    """Return the picture with a sensor's noise."""
    noisy = image + np.float32(sigma) * _grain(seed, *image.shape[:2])
    return np.asarray(np.clip(noisy, 0, 255, out=noisy), np.uint8)


def overlaid(image: Image, text: str) -> Image:
    """Return the picture with a clock at the top and a name at the bottom."""
    found, (height, width) = image.copy(), image.shape[:2]
    scale = height / 576
    for words, place in ((text, (20, 40)), ("Camera 01", (width / scale - 200, 556))):
        at = (int(place[0] * scale), int(place[1] * scale))
        for colour, thick in (((0, 0, 0), 4), ((255, 255, 255), 2)):
            cv2.putText(found, words, at, cv2.FONT_HERSHEY_SIMPLEX, scale, colour, max(1, int(thick * scale)))
    return found


def turned(image: Image, x: float = 0, y: float = 0, degrees: float = 0, zoom: float = 1) -> Image:
    """Return what a camera shows after it was pushed, tilted or zoomed (shares of the view; degrees clockwise)."""
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), -degrees, zoom)
    matrix[:, 2] += (x * width, y * height)
    moved = cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REFLECT)
    return np.asarray(moved, np.uint8)


def blurred(image: Image, sigma: float) -> Image:
    """Return the picture out of focus."""
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.uint8)


def looked_at(image: Image, size: tuple[int, int] | None = None, kilobits: int | None = None) -> Picture:
    """Return the planes of a picture; with `kilobits` a second, as x264 leaves them in a keyframe at that rate."""
    if size is not None:
        image = resized(image, *size)
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="bgr24").reformat(format="yuv420p")
    return _planes(frame if kilobits is None else _encoded(frame, kilobits))


def _encoded(frame: av.VideoFrame, kilobits: int) -> av.VideoFrame:
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as output:
        stream = output.add_stream("libx264", rate=5)
        stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, "yuv420p"
        stream.bit_rate = kilobits * 1000
        rate = str(kilobits * 1000)
        stream.options = {"preset": "veryfast", "tune": "zerolatency", "maxrate": rate, "bufsize": rate}
        frame.pts = 0
        for packet in (*stream.encode(frame), *stream.encode()):
            output.mux(packet)
    file.seek(0)
    with av.open(file, "r") as recorded:
        return next(recorded.decode(video=0))


def _planes(frame: av.VideoFrame) -> Picture:
    planes = []
    for plane in frame.planes:
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
        planes.append(np.ascontiguousarray(rows[:, : plane.width]))
    return Picture(*planes)


def grey(luma: Plane) -> Picture:
    """Return a picture without colour."""
    chroma = np.full((luma.shape[0] // 2, luma.shape[1] // 2), 128, np.uint8)
    return Picture(luma, chroma, chroma)


def infrared(image: Image, seed: int = 0) -> Image:
    """Return the picture without colour under the camera's own lamp: other contrasts, bright in the middle, noisier."""
    height, width = image.shape[:2]
    mixed = image.astype(np.float32) @ np.array([0.15, 0.3, 0.55], np.float32) * 0.8 + 30
    down, across = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    seen = np.clip(mixed * (0.35 + 0.8 * np.exp(-(across**2) - down**2)), 0, 255)
    return grainy(np.repeat(seen[..., None], 3, axis=2).astype(np.uint8), 4, seed)


def hidden(image: Image, share: float, by: str, seed: int = 0) -> Image:
    """Return the picture with a share of the view hidden from one side, by a `hand`, a `sticker`, `spray` or a `cloth`.

    What is on the lens is out of focus, its border too; spray lets a tenth of the view through.
    """
    rng = np.random.default_rng(seed)
    height, width = image.shape[:2]
    down, across = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    angle = rng.uniform(0, 2 * np.pi)
    order = np.cos(angle) * across + np.sin(angle) * down + 0.04 * np.sin(9 * (across - down))
    mask = (order < np.quantile(order, share)).astype(np.float32)
    soft = {"hand": 14, "sticker": 4, "spray": 22, "cloth": 9}[by]
    alpha = cv2.GaussianBlur(mask, (0, 0), soft)[..., None] * (0.9 if by == "spray" else 1)
    colour = np.array([95, 120, 180], np.float32) if by == "hand" else rng.uniform(70, 200, 3).astype(np.float32)
    grain = cv2.GaussianBlur(rng.normal(0, 1, (height, width)).astype(np.float32), (0, 0), 30 if by == "hand" else 6)
    surface = (
        colour * (1 + {"hand": 0.1, "sticker": 0, "spray": 0.12, "cloth": 0.03}[by] * grain / grain.std())[..., None]
    )
    if by == "cloth":
        surface = surface * (1 + 0.15 * np.sin(2 * np.pi * 4 * across + 3 * down))[..., None]
    return np.asarray(np.clip(image * (1 - alpha) + surface * alpha, 0, 255), np.uint8)


def cots(image: Image) -> Image:
    """Return the room at nap time: curtains drawn, lamps off, cots in rows over the whole floor."""
    found, (height, width) = image.copy(), image.shape[:2]
    for row in range(4):
        for column in range(5):
            x, y = int(width * (0.03 + 0.195 * column)), int(height * (0.56 + 0.11 * row))
            cv2.rectangle(found, (x, y), (x + width // 6, y + height // 14), (150 + 20 * row, 170, 190), -1)
            cv2.rectangle(found, (x, y), (x + width // 6, y + height // 14), (60, 60, 70), 2)
            cv2.rectangle(found, (x + 4, y + 4), (x + width // 24, y + height // 16), (225, 225, 225), -1)
    return grainy(lit(found, gain=0.55), 4)


def partition(image: Image, share: float = 0.3) -> Image:
    """Return the room with a cloth partition hung up at one side: folds, and a pattern in focus."""
    found, (height, width) = image.copy(), image.shape[:2]
    wide = int(width * share)
    folds = 150 + 35 * np.sin(np.arange(wide) / 9.0)
    found[: int(height * 0.9), width - wide :] = folds[None, :, None] * np.array([0.7, 0.9, 1.0])
    for x in range(width - wide, width, 34):
        for y in range(10, int(height * 0.88), 34):
            cv2.circle(found, (x, y), 8, (60, 60, 160), -1, cv2.LINE_AA)
    return found


def hangings(image: Image) -> Image:
    """Return the room with strings of flags hung across it."""
    found, (height, width) = image.copy(), image.shape[:2]
    for string in range(3):
        for number in range(14):
            x, y = width * number // 14, int(height * (0.1 + 0.09 * string + 0.02 * np.sin(number)))
            corners = np.array([(x, y), (x + width // 20, y), (x + width // 40, y + height // 16)], np.int32)
            cv2.fillPoly(found, [corners], (40 * number % 255, 90 * string + 40, 255 - 17 * number), cv2.LINE_AA)
    return found


def sunny(image: Image) -> Image:
    """Return the room with a patch of sun across floor and wall."""
    height, width = image.shape[:2]
    patch = np.zeros((height, width), np.float32)
    corners = [(0.3, 0.4), (0.6, 0.35), (0.75, 0.9), (0.35, 0.95)]
    cv2.fillPoly(patch, [(np.array(corners) * (width, height)).astype(np.int32)], 1.0, cv2.LINE_AA)
    return np.asarray(np.clip(image * (1 + 0.6 * patch[..., None]), 0, 255), np.uint8)
