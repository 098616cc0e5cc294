"""One camera: draws the picture of any instant of a planned clip, in the order of time."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

import cv2
import numpy as np

from benchmarks.view.effects import Effect
from benchmarks.view.materials import Image
from benchmarks.view.optics import Light, Noise, Planar, glow, infrared, lit, rain_field, to_planar, vignette
from benchmarks.view.osd import Osd
from benchmarks.view.people import HIGH, Crowd, Sprite, blend, scaled
from benchmarks.view.plan import Clip, Nuisance, Tamper
from benchmarks.view.rooms import FAMILIES
from benchmarks.view.stage import STRAIGHT, Pose, Scene, Stage

_EPOCH: Final = 1_793_000_000
"""What the clocks show first is somewhere after this."""
_WANTED: Final = 0.62
_MOST_GAIN: Final = 9.0
DIM: Final = 0.5
"""Below this share of its usual light a picture may be called dark."""
_STANDING: Final = ("decoration", "hangings", "partition", "furniture", "door")


def outdoors(scene: Scene) -> bool:
    """Tell whether a scene lies under the sky."""
    return scene.base in FAMILIES and FAMILIES[scene.base].outdoors


def daylight(hour: float) -> float:
    """Return the light of the sky, 0..1."""
    rise = min(max((hour - 6.0) / 2.0, 0.0), 1.0)
    fall = min(max((19.0 - hour) / 2.0, 0.0), 1.0)
    return float(min(rise, fall) ** 1.5)


def exposure(clip: Clip, at: float) -> tuple[float, float]:
    """Return the share of its usual light that a picture keeps, and the sensor's gain."""
    hour = clip.hour_at(at)
    sky = daylight(hour)
    if outdoors(clip.scene):
        light = sky + 0.012
    else:
        lamps = 7.0 <= hour < 18.4 and not clip.weekend and not clip.active("nap", at)
        if clip.speed == 1.0 and clip.night != "infrared":
            lamps = True
        toggled = 0.55 if clip.active("lamp", at) else 1.0
        curtains = 0.35 if clip.active("nap", at) else 1.0
        light = 0.55 * sky * curtains + 0.5 * lamps * toggled + 0.004
    gain = min(_WANTED / light, _MOST_GAIN)
    return min(1.0, light * gain / _WANTED), max(gain, 0.6)


class Camera:
    """Pictures of a clip. Ask for instants in ascending order: noise, footage and freezing go with time."""

    def __init__(self, clip: Clip) -> None:
        """Set up the place, the people and the camera's own manners."""
        scene = clip.scene
        self.clip = clip
        self.osd = Osd.of(scene.seed, scene.height)
        self._stage = Stage(scene)
        self._elsewhere: Stage | None = None
        self._crowd = Crowd.of(clip.seed)
        self._rng = np.random.default_rng([clip.seed, 53])
        self._noise = Noise(scene.width, scene.height, self._rng)
        self._usual_noise = float(np.random.default_rng([scene.seed, 59]).uniform(1.0, 2.4))
        self._effects = {id(tamper): Effect(tamper, scene.width, scene.height) for tamper in clip.tampers}
        self._fields: dict[tuple[str, int], Image] = {}
        self._index, self._way, self._turn_at = 0.0, 1.0, 0.0
        self._before = 0.0
        self._frozen: Planar | None = None

    def tamper(self, at: float) -> Tamper | None:
        """Return the tamper at work at an instant."""
        return next((tamper for tamper in self.clip.tampers if tamper.on(at)), None)

    def clock(self, at: float) -> float:
        """Return the epoch seconds that the camera's clock shows."""
        return _EPOCH + self.clip.seed % 10_000_000 // 86_400 * 86_400 + self.clip.hour * 3600 + at

    def picture(self, at: float) -> Planar:
        """Return the picture at `at` seconds of the video, with the camera's writing."""
        tamper = self.tamper(at)
        if tamper is not None and tamper.variant.state == "frozen":
            return self._standing_still(at, written=tamper.variant.name != "clock")
        self._frozen = None
        picture = self._seen(at, tamper)
        hides = tamper is not None and tamper.variant.state == "signal_lost" and tamper.seed % 2 == 0
        if not hides:
            self.osd.write(picture, self.clock(at))
        return picture

    def _standing_still(self, at: float, *, written: bool) -> Planar:
        if self._frozen is None:
            self._frozen = self._seen(at, None)
            if written:
                self.osd.write(self._frozen, self.clock(at))
        picture = self._frozen.copy()
        if not written:
            self.osd.write(picture, self.clock(at))
        return picture

    def _seen(self, at: float, tamper: Tamper | None) -> Planar:
        effect = self._effects[id(tamper)] if tamper is not None else None
        pose = effect.pose(at) if effect is not None else STRAIGHT
        light = self._light(at)
        stage = self._stage
        if tamper is not None and tamper.variant.name == "elsewhere":
            stage = self._other_place(tamper)
        view = self._populated(stage, at, self._shaken(pose, at))
        view = lit(view, light)
        if light.infrared:
            view = infrared(view, 0.45 + 0.25 * (self.clip.scene.seed % 3) / 2)
        if self.clip.scene.lens == "wide":
            corners = vignette(self.clip.scene.width, self.clip.scene.height, 0.55)
            view = np.asarray(cv2.multiply(view, corners, scale=1 / 255), np.uint8)
        view = self._weather(view, at)
        noise = light.noise
        if effect is not None:
            view, noise = effect.optical(view, at), effect.noise(at, noise)
        picture = to_planar(view)
        if light.infrared:
            picture[self.clip.scene.height :] = 128
        picture = self._noise.over(picture, noise, colour=0.0 if light.infrared else 0.33)
        return effect.electronic(picture, at, self._noise) if effect is not None else picture

    def _other_place(self, tamper: Tamper) -> Stage:
        """Return what a camera that was turned right round sees."""
        if self._elsewhere is None:
            base = self.clip.scene.base
            family = base if base in FAMILIES else "lobby"
            self._elsewhere = Stage(replace(self.clip.scene, base=family, seed=tamper.seed))
        return self._elsewhere

    def _light(self, at: float) -> Light:
        share, gain = exposure(self.clip, at)
        drift = 1 + 0.04 * math.sin(at / 97 + self.clip.seed % 7) + 0.03 * math.sin(at / 31)
        if outdoors(self.clip.scene):
            drift *= 1 + 0.12 * math.sin(at / 211) * math.sin(at / 67)
        for item in self.clip.active("exposure", at):
            drift *= 0.72 if item.seed % 2 else 1.3
        seeing_infrared = self.clip.night == "infrared" and share < 0.35
        noise = self._usual_noise * (1 + 0.35 * math.log2(max(gain, 1.0)))
        if seeing_infrared:
            return Light(gain=drift, noise=self._usual_noise + 2.0, infrared=True)
        warm = 0.06 if self.clip.active("lamp", at) else 0.0
        dim = share * (0.75 if self.clip.active("nap", at) else 1.0)
        return Light(drift * dim, tint=(1 - warm, 1.0, 1 + warm / 2), noise=noise + (2.5 if share < DIM else 0.0))

    def _shaken(self, pose: Pose, at: float) -> Pose:
        if not self.clip.active("vibration", at):
            return pose
        right, down = self._rng.uniform(-2.5, 2.5, 2) / self.clip.scene.width
        return replace(pose, right=pose.right + float(right), down=pose.down + float(down))

    def _populated(self, stage: Stage, at: float, pose: Pose) -> Image:
        """Return the place with what has been changed in it and who is there."""
        dressing = {(kind, item.seed) for kind in _STANDING for item in self.clip.active(kind, at)}
        for item in self.clip.active("nap", at):
            dressing |= {("curtains", item.seed), ("cots", item.seed)}
        view = stage.view(self._footage_index(stage, at), frozenset(dressing), pose).copy()
        matrix = stage.matrix(pose)
        upright = stage.matrix(STRAIGHT)
        zoom = pose.zoom * float(np.hypot(upright[0, 0], upright[1, 0]))
        present = [walk for walk in self.clip.walks if walk.start <= at < walk.end]
        placed = sorted(((walk, *walk.place(at)) for walk in present), key=lambda entry: -entry[2])
        for walk, across, depth, phase in placed:
            x, y, floor = stage.geometry.on_floor(across, depth)
            feet = matrix @ np.array([x, y, 1.0])
            high = int(min(walk.tall * floor * zoom, 2.0 * view.shape[0]))
            if high >= 8:
                sprite = self._crowd.figures[walk.person][phase]
                if walk.sits:
                    sprite = Sprite(sprite.image[: 3 * HIGH // 5], sprite.alpha[: 3 * HIGH // 5])
                    high = 3 * high // 5
                wide = max(4, round(high * sprite.alpha.shape[1] / sprite.alpha.shape[0]))
                blend(view, scaled(sprite, wide, high), int(feet[0] - wide / 2), int(feet[1] - high))
        for item in self.clip.active("near", at):
            self._lean_in(view, item, at)
        for item in self.clip.active("insect", at):
            self._crawl(view, item, at)
        return view

    def _footage_index(self, stage: Stage, at: float) -> int:
        """Return which picture of the footage is shown: forth and back in random turns, so that it never loops."""
        if stage is not self._stage or stage.frame_count == 1:
            return 0
        if at >= self._turn_at:
            self._way = float(self._rng.choice([-1.0, 1.0])) * float(self._rng.uniform(0.5, 3.0))
            self._turn_at = at + float(self._rng.uniform(4, 25))
        last = stage.frame_count - 1
        self._index = abs(self._index + self._way * (at - self._before)) % (2 * last)
        self._before = at
        return round(self._index if self._index <= last else 2 * last - self._index)

    def _lean_in(self, view: Image, item: Nuisance, at: float) -> None:
        """Draw a person close to the lens, who moves."""
        rng = np.random.default_rng([item.seed, 61])
        height, width = view.shape[:2]
        sprite = self._crowd.near(item.seed, width, height, float(rng.uniform(0.7, 1.2)))
        centre = rng.uniform(0.2, 0.8)
        x = centre + 0.14 * math.sin(at * rng.uniform(0.3, 1.2)) + 0.05 * math.sin(at * 2.3)
        y = rng.uniform(0.0, 0.4) + 0.08 * math.sin(at * rng.uniform(0.4, 0.9))
        high, wide = sprite.alpha.shape
        blend(view, sprite, int(x * width - wide / 2), max(int(y * height), height - high))

    def _crawl(self, view: Image, item: Nuisance, at: float) -> None:
        """Draw an insect on the lens."""
        rng = np.random.default_rng([item.seed, 67])
        height, width = view.shape[:2]
        size = float(rng.uniform(0.03, 0.08)) * width
        x = (rng.uniform(0.1, 0.9) + 0.1 * math.sin(at / 5)) * width
        y = (rng.uniform(0.1, 0.9) + 0.1 * math.cos(at / 4)) * height
        soft = np.zeros((height // 4, width // 4), np.uint8)
        for leg in range(8):
            angle = leg * math.pi / 4 + 0.3 * math.sin(at + leg)
            end = (int((x + 1.6 * size * math.cos(angle)) / 4), int((y + 1.6 * size * math.sin(angle)) / 4))
            cv2.line(soft, (int(x / 4), int(y / 4)), end, 200, max(1, int(size / 30)))
        cv2.ellipse(soft, (int(x / 4), int(y / 4)), (int(size / 4), int(size / 6)), 30, 0, 360, 250, -1)
        alpha = np.asarray(cv2.resize(cv2.GaussianBlur(soft, (0, 0), 1.0), (width, height)), np.uint8)
        blend(view, Sprite(np.full_like(view, 35), alpha), 0, 0)

    def _weather(self, view: Image, at: float) -> Image:
        """Add headlights, sun patches and rain."""
        width = view.shape[1]
        for item in self.clip.active("headlights", at):
            field = self._field("headlights", item.seed)
            shift = int((at - item.start) / (item.end - item.start) * width) - width // 2
            view = np.asarray(cv2.add(view, np.roll(field, shift, axis=1)), np.uint8)
        for item in self.clip.active("sun", at):
            share = math.sin(math.pi * (at - item.start) / (item.end - item.start))
            view = np.asarray(cv2.addWeighted(view, 1.0, self._field("sun", item.seed), 0.6 * share, 0), np.uint8)
        for item in self.clip.active("rain", at):
            field = self._field("rain", item.seed + int(self._rng.integers(0, 4)))
            shift = tuple(int(value) for value in self._rng.integers(0, 97, 2))
            dull = cv2.convertScaleAbs(view, alpha=0.82, beta=10)
            view = np.asarray(cv2.add(dull, np.roll(field, shift, axis=(0, 1))), np.uint8)
        return view

    def _field(self, kind: str, seed: int) -> Image:
        if (kind, seed) not in self._fields:
            rng = np.random.default_rng([seed, 71])
            width, height = self.clip.scene.width, self.clip.scene.height
            if kind == "rain":
                self._fields[kind, seed] = rain_field(rng, width, height)
            else:
                self._fields[kind, seed] = glow(rng, width, height, 0.25 if kind == "headlights" else 0.15)
        return self._fields[kind, seed]
