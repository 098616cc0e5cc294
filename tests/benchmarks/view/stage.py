"""The place before the lens: a drawn room or real footage, wider than the view, with what is changed in it."""

from __future__ import annotations

import functools
from collections import OrderedDict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import av
import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.view.dressing import Overlay, overlay
from benchmarks.view.materials import Image
from benchmarks.view.people import Crowd, blend, scaled
from benchmarks.view.rooms import FAMILIES, Geometry, Room, draw_room

FOOTAGE: Final = Path(__file__).parents[4] / "shared" / "footage"
"""Real scenes, where present; the project ships none."""
_WIDER: Final = 1.6
"""A drawn canvas is wider and higher than the view by this, so that a turned camera still sees the room."""
_FOOTAGE_FRAMES: Final = 120
_PASSING_FRAMES: Final = 60

_FOOTAGE_GEOMETRY: Final = {
    # floor (far left, far right, near right, near left) and far wall, as shares of the frame, read off the pictures
    "hall": (((0.0, 0.57), (1.0, 0.58), (1.15, 1.0), (-0.15, 1.0)), ((0.0, 0.0), (0.7, 0.0), (0.7, 0.52), (0.0, 0.52))),
    "classroom": (
        ((0.12, 0.5), (0.8, 0.5), (1.1, 1.0), (-0.1, 1.0)),
        ((0.2, 0.14), (0.62, 0.14), (0.62, 0.45), (0.2, 0.45)),
    ),
    "warehouse": (((0.0, 0.18), (1.0, 0.2), (1.2, 1.0), (-0.2, 1.0)), ((0.3, 0.0), (0.5, 0.0), (0.5, 0.2), (0.3, 0.2))),
}

Matrix = npt.NDArray[np.float64]
"""A 2 x 3 affine mapping of canvas points to view points."""


@dataclass(frozen=True)
class Scene:
    """One camera of a list: what it looks at, and its seed."""

    id: str
    base: str
    """`footage/NAME`, or a family of drawn rooms."""
    seed: int
    width: int
    height: int
    codec: str = "h264"
    kbps: int = 512
    """The bit rate of the stream that the pictures are taken from, at 15 frames a second."""
    lens: str = "plain"
    """`plain`, or `wide`: barrel distortion is left out, the dark corners aren't."""


@dataclass(frozen=True)
class Pose:
    """Where a camera points, against where it was installed."""

    right: float = 0.0
    down: float = 0.0
    """Shift, as a share of the view."""
    degrees: float = 0.0
    zoom: float = 1.0


STRAIGHT: Final = Pose()


@functools.lru_cache(maxsize=2)
def _frames(name: str, *, mirrored: bool) -> tuple[Image, ...]:
    """Return up to _FOOTAGE_FRAMES frames of a footage file, evenly spread."""
    with av.open(str(FOOTAGE / f"{name}.mp4")) as container:
        frames = [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]
    step = max(1, len(frames) // _FOOTAGE_FRAMES)
    chosen = [cv2.flip(frame, 1) if mirrored else frame for frame in frames[::step]]
    return tuple(np.asarray(frame, np.uint8) for frame in chosen)


def footage_present(base: str) -> bool:
    """Tell whether a base can be had here."""
    return not base.startswith("footage/") or (FOOTAGE / f"{base.removeprefix('footage/')}.mp4").exists()


class Stage:
    """Pictures of one place, without people and before any light."""

    def __init__(self, scene: Scene) -> None:
        """Draw or load the base of `scene`."""
        self.width, self.height = scene.width, scene.height
        self.footage = scene.base.startswith("footage/")
        if self.footage:
            name = scene.base.removeprefix("footage/")
            manner = np.random.default_rng([scene.seed, 5])
            mirrored = bool(manner.random() < 0.5)
            self._share = float(manner.uniform(0.6, 0.8))
            self._aside = manner.uniform(-0.09, 0.09, 2)
            self._canvases = _frames(name, mirrored=mirrored)
            self.geometry = _footage_geometry(name, self._canvases[0], mirrored=mirrored)
        else:
            room = draw_room(scene.base, scene.seed, round(scene.width * _WIDER), round(scene.height * _WIDER))
            self._canvases, self.geometry = _passed(room, scene), room.geometry
        self._seed = scene.seed
        self._overlays: dict[tuple[str, int], Overlay] = {}
        self._views: OrderedDict[tuple[int, frozenset[tuple[str, int]], Pose], Image] = OrderedDict()

    @property
    def frame_count(self) -> int:
        """How many different pictures the base has: 1 where it is drawn and nobody passes."""
        return len(self._canvases)

    def matrix(self, pose: Pose) -> Matrix:
        """Return the mapping from canvas to view."""
        high, wide = self._canvases[0].shape[:2]
        if self.footage:
            scale = max(self.width / (wide * self._share), self.height / (high * self._share))
            pose = replace(pose, right=pose.right + self._aside[0], down=pose.down + self._aside[1])
        else:
            scale = 1.0
        turn = cv2.getRotationMatrix2D((wide / 2, high / 2), pose.degrees, scale * pose.zoom)
        turn[0, 2] += self.width / 2 - wide / 2 - pose.right * self.width
        turn[1, 2] += self.height / 2 - high / 2 - pose.down * self.height
        return np.asarray(turn, np.float64)

    def _overlay(self, name: str, seed: int) -> Overlay:
        if (name, seed) not in self._overlays:
            high, wide = self._canvases[0].shape[:2]
            self._overlays[name, seed] = overlay(name, seed, self.geometry, wide, high)
        return self._overlays[name, seed]

    def view(self, index: int, dressing: frozenset[tuple[str, int]], pose: Pose) -> Image:
        """Return what the lens sees of picture `index` with some (dressing, seed) in place; don't write to it."""
        key = (index, dressing, pose)
        if key in self._views:
            self._views.move_to_end(key)
            return self._views[key]
        canvas = self._canvases[index]
        if dressing:
            canvas = canvas.copy()
            for name, seed in sorted(dressing):
                self._overlay(name, seed).apply(canvas)
        view = cv2.warpAffine(canvas, self.matrix(pose), (self.width, self.height), borderMode=cv2.BORDER_REFLECT_101)
        self._views[key] = np.asarray(view, np.uint8)
        if len(self._views) > (2 * _FOOTAGE_FRAMES if self.frame_count > 1 else 6):
            self._views.popitem(last=False)
        return self._views[key]


def _passed(room: Room, scene: Scene) -> tuple[Image, ...]:
    """Return the room, or where persons pass close to the camera the pictures of that, from one side of their way to the other."""
    fewest, most = FAMILIES[scene.base].passers
    if not most:
        return (room.canvas,)
    rng = np.random.default_rng([scene.seed, 101])
    crowd = Crowd.of(scene.seed)
    ways = [
        (int(rng.integers(0, 6)), rng.uniform((0.2, 0.55), (0.8, 0.8), (2, 2)), float(rng.uniform(0.4, 1.1)))
        for _ in range(int(rng.integers(fewest, most + 1)))
    ]
    height, width = room.canvas.shape[:2]
    pictures = []
    for step in range(_PASSING_FRAMES):
        canvas = room.canvas.copy()
        share = step / (_PASSING_FRAMES - 1)
        for person, (first, last), tall in ways:
            x, feet = first + (last - first) * share
            high = round(tall * scene.height * (0.5 + feet))
            sprite = crowd.figures[person][step // 4 % len(crowd.figures[person])]
            blend(canvas, scaled(sprite, high // 2, high), round(x * width - high / 4), round(feet * height - high / 2))
        pictures.append(canvas)
    return tuple(pictures)


def _footage_geometry(name: str, frame: Image, *, mirrored: bool) -> Geometry:
    high, wide = frame.shape[:2]
    floor, wall = (np.array(quad, np.float32) * np.array((wide, high), np.float32) for quad in _FOOTAGE_GEOMETRY[name])
    if mirrored:
        floor, wall = ((np.array((wide, 0)) - quad * (1, -1))[[1, 0, 3, 2]] for quad in (floor, wall))
    return Geometry(floor.astype(np.float32), wall.astype(np.float32))
