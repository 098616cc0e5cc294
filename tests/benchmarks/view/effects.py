"""What a tamper does to a picture: before the sensor (covered, blurred) and behind it (noise, stripes, smears)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import cv2
import numpy as np

from benchmarks.view.materials import Field, Image, clouds, tint, to_image, wallpaper
from benchmarks.view.optics import Noise, Planar
from benchmarks.view.plan import Tamper
from benchmarks.view.stage import STRAIGHT, Pose

_SMALL: Final = 4
"""Masks are made at a quarter of the view's size each way: what is close to the lens has soft edges."""
_MACROBLOCK: Final = 16
_DARK_FROM: Final = 0.3
_PLACEHOLDERS: Final = (
    (235, 128, 128),
    (41, 240, 110),
    (126, 128, 128),
    (60, 180, 110),
    (180, 128, 128),
    (90, 100, 180),
)
"""Y, U, V: white, blue, grey, dark blue, light grey, brown."""


@dataclass
class Effect:
    """One tamper at work on pictures of one size; keeps what it drew once."""

    tamper: Tamper
    width: int
    height: int
    rng: np.random.Generator = field(init=False)
    kept: dict[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Begin the effect's own randomness."""
        self.rng = np.random.default_rng([self.tamper.seed, 29])

    # --- where the camera points --------------------------------------------------------------------------------------

    def pose(self, at: float) -> Pose:
        """Return where the camera points."""
        tamper, rng = self.tamper, np.random.default_rng([self.tamper.seed, 31])
        if tamper.variant.state != "moved" or not tamper.on(at):
            return STRAIGHT
        amount, name = tamper.amount(at), tamper.variant.name
        angle, side = rng.uniform(0, 2 * math.pi), float(rng.choice([-1, 1]))
        if name == "tilted":
            return Pose(degrees=side * amount)
        if name == "zoomed":
            return Pose(zoom=1 + amount if side > 0 or amount > 0.35 else 1 / (1 + amount))
        if name == "pushed":
            return Pose(amount * math.cos(angle), amount * math.sin(angle), side * 40 * amount, 1 + 0.3 * amount)
        if name == "turned":
            return Pose(amount * math.cos(angle), amount * math.sin(angle))
        return STRAIGHT

    # --- before the sensor --------------------------------------------------------------------------------------------

    def optical(self, view: Image, at: float) -> Image:
        """Return the view that reaches the sensor; `view` is not written to."""
        amount = self.tamper.amount(at)
        match self.tamper.variant.state:
            case "black":
                return np.asarray(cv2.convertScaleAbs(view, alpha=max(0.0, 1 - amount) ** 1.5), np.uint8)
            case "dark":
                return self._darkened(view, amount)
            case "bright":
                return self._glare(view, amount) if self.tamper.variant.name == "glare" else self._exposed(view, amount)
            case "blurred":
                return self._blurred(view, amount)
            case "covered":
                return self._covered(view, amount)
        return view

    def noise(self, at: float, usual: float) -> float:
        """Return the deviation of the sensor's noise, `usual` without a tamper."""
        amount = self.tamper.amount(at)
        if self.tamper.variant.state == "black":
            return usual * (1 - amount) + 0.7 * amount
        if self.tamper.variant.state == "dark":
            return usual + 5.0 * amount
        return usual

    def _darkened(self, view: Image, amount: float) -> Image:
        mean = self._once("mean", lambda: np.array(16 + 0.86 * view.mean()))
        usual = float(mean)
        at_edge = 60 - 36 * _DARK_FROM
        target = 60 - 36 * amount if amount >= _DARK_FROM else usual + (at_edge - usual) * amount / _DARK_FROM
        return np.asarray(cv2.convertScaleAbs(view, alpha=min(1.0, (target - 16) / max(usual - 16, 1))), np.uint8)

    def _exposed(self, view: Image, amount: float) -> Image:
        shares = self._once("luma", lambda: np.quantile(view.max(axis=2)[::4, ::4], np.linspace(0, 1, 101)))
        gain = 255 / max(float(np.interp(1 - amount, np.linspace(0, 1, 101), shares)), 4.0)
        return np.asarray(cv2.convertScaleAbs(view, alpha=max(1.0, gain), beta=12 * amount), np.uint8)

    def _glare(self, view: Image, amount: float) -> Image:
        alpha = self._mask("glare", amount, 0.25)
        veiled = cv2.convertScaleAbs(view, alpha=1 - 0.3 * amount, beta=70 * amount)
        return _mixed(np.asarray(veiled, np.uint8), np.full_like(view, 255), alpha)

    def _blurred(self, view: Image, amount: float) -> Image:
        sigma = amount / 100 * self.width
        if sigma < 0.3:
            return view
        if self.tamper.variant.name == "defocus":
            return _soft(view, sigma, sigma)
        smeared = _soft(view, sigma * 1.3, sigma * 0.8)
        haze = cv2.convertScaleAbs(smeared, alpha=0.9, beta=10)
        uneven = self._once("uneven", lambda: _shares(clouds(self.rng, self.width, self.height, cells=3, octaves=2)))
        return _mixed(
            _soft(view, sigma * 0.8, sigma * 0.8), np.asarray(haze, np.uint8), (255 * uneven).astype(np.uint8)
        )

    def _covered(self, view: Image, amount: float) -> Image:
        name = self.tamper.variant.name
        softness = {"hand": 0.06, "sticker": 0.03, "spray": 0.12, "cloth": 0.05, "paper": 0.04}[name]
        alpha = self._mask(name, amount, softness)
        cloth = self._once("cover", lambda: _cover_texture(name, self.rng, self.width, self.height))
        if name == "spray":
            alpha = np.asarray(cv2.convertScaleAbs(alpha, alpha=0.94), np.uint8)
        if name == "hand":
            trembling = np.array([[1, 0, self.rng.normal(0, 2)], [0, 1, self.rng.normal(0, 2)]], np.float32)
            alpha = np.asarray(
                cv2.warpAffine(alpha, trembling, (self.width, self.height), borderMode=cv2.BORDER_REPLICATE), np.uint8
            )
        return _mixed(view, np.asarray(cloth, np.uint8), alpha)

    def _mask(self, kind: str, amount: float, softness: float) -> np.ndarray:
        """Return 0..255 for how much of each pixel is covered when `amount` of the view is."""
        order = self._once("order", lambda: _order(kind, self.rng, self.width // _SMALL, self.height // _SMALL))
        reach = amount * (1 + softness) - softness / 2
        small = np.clip((reach - order) / softness + 0.5, 0, 1) * 255
        return np.asarray(cv2.resize(small.astype(np.uint8), (self.width, self.height)), np.uint8)

    # --- behind the sensor --------------------------------------------------------------------------------------------

    def electronic(self, picture: Planar, at: float, noise: Noise) -> Planar:
        """Return the picture that the encoder gets, before the camera writes on it."""
        amount, name = self.tamper.amount(at), self.tamper.variant.name
        match self.tamper.variant.state:
            case "black" if name == "dead_sensor":
                return _uniform(picture, (16 + self.tamper.seed % 3, 128, 128))
            case "noisy":
                return self._noisy(picture, amount, noise)
            case "striped":
                return self._striped(picture, amount, at)
            case "colour_cast":
                return self._cast(picture, amount)
            case "signal_lost":
                return self._placeholder(picture, at)
            case "corrupt":
                return self._damaged(picture, amount)
        return picture

    def _noisy(self, picture: Planar, amount: float, noise: Noise) -> Planar:
        name = self.tamper.variant.name
        if name == "snow":
            return noise.over(picture, amount, colour=0.25)
        if name == "colour":
            return noise.over(picture, 8.0, colour=amount / 8.0)
        struck = self.rng.random((self.height // 2, self.width)) < amount
        grains = np.where(self.rng.random(struck.shape) < 0.5, np.uint8(16), np.uint8(235))
        out = picture.copy()
        for half in range(2):
            rows = out[half * self.height // 2 : (half + 1) * self.height // 2]
            flip = np.roll(struck, half * 97, axis=1)[: rows.shape[0]]
            rows[flip] = grains[: rows.shape[0]][flip]
        return out

    def _striped(self, picture: Planar, amount: float, at: float) -> Planar:
        rng = np.random.default_rng([self.tamper.seed, 37])
        name = self.tamper.variant.name
        cycles = rng.uniform(1.5, 3) if name == "rolling" else rng.uniform(8, 40)
        speed = 0.0 if rng.random() < 0.4 and name != "rolling" else rng.uniform(0.03, 0.4)
        y, x = np.mgrid[0 : self.height, 0 : self.width].astype(np.float32)
        along = {"vertical": x / self.width, "diagonal": (x + rng.uniform(0.5, 1.5) * y) / self.width}.get(
            name, y / self.height
        )
        wave = np.sin(2 * np.pi * (cycles * along + speed * at))
        if rng.random() < 0.5:
            wave = np.sign(wave)
        out = picture.copy()
        out[: self.height] = np.clip(picture[: self.height] + amount * wave, 16, 235).astype(np.uint8)
        return out

    def _cast(self, picture: Planar, amount: float) -> Planar:
        angle = np.random.default_rng([self.tamper.seed, 41]).uniform(0, 2 * math.pi)
        chroma = picture[self.height :].reshape(2, self.height // 2, self.width // 2)
        weight: np.ndarray = np.ones(chroma.shape[1:], np.float32)
        if self.tamper.variant.name == "channel":
            weight = cv2.resize(picture[: self.height], (self.width // 2, self.height // 2)).astype(np.float32) / 110
        shift = np.stack([math.cos(angle) * weight, math.sin(angle) * weight]) * amount
        out = picture.copy()
        out[self.height :] = np.clip(chroma + shift, 16, 240).astype(np.uint8).reshape(-1, self.width)
        return out

    def _placeholder(self, picture: Planar, at: float) -> Planar:
        rng = np.random.default_rng([self.tamper.seed, 43])
        name = self.tamper.variant.name
        colour = (16, 128, 128) if name == "text_on_black" else _PLACEHOLDERS[int(rng.integers(0, len(_PLACEHOLDERS)))]
        out = _uniform(picture, colour)
        luma = out[: self.height]
        ink = 235 if colour[0] < 150 else 30
        if name.startswith("text"):
            text = str(
                rng.choice(["NO VIDEO", "VIDEO LOSS", "NO SIGNAL", "Connecting...", "NETWORK ERROR", "Channel offline"])
            )
            scale = self.width / 420 * rng.uniform(0.7, 1.4)
            wander = 0.15 * math.sin(at / 7) if rng.random() < 0.3 else 0.0
            where = (int(self.width * (0.2 + wander)), int(self.height * rng.uniform(0.4, 0.6)))
            cv2.putText(luma, text, where, cv2.FONT_HERSHEY_SIMPLEX, scale, ink, max(1, round(2 * scale)), cv2.LINE_AA)
        elif name == "logo":
            centre = (self.width // 2, self.height // 2)
            size = int(self.height * rng.uniform(0.1, 0.2))
            cv2.circle(luma, centre, size, ink, max(2, size // 5), cv2.LINE_AA)
            cv2.line(
                luma,
                (centre[0] - size, centre[1] + size),
                (centre[0] + size, centre[1] - size),
                ink,
                max(2, size // 6),
                cv2.LINE_AA,
            )
        elif name == "bars":
            _bars(out, self.width, self.height)
        return out

    def _damaged(self, picture: Planar, amount: float) -> Planar:
        if self.tamper.variant.name.startswith("lost"):
            return picture
        every = 1 + self.tamper.seed % 4
        count = int(self.kept.get("count", np.array(0)))
        self.kept["count"] = np.array(count + 1)
        rng = np.random.default_rng([self.tamper.seed, 47, count // every])
        return _damage(picture, amount, self.tamper.variant.name, rng, self.width, self.height)

    def _once(self, name: str, make: Callable[[], np.ndarray]) -> np.ndarray:
        if name not in self.kept:
            self.kept[name] = make()
        return self.kept[name]


def _mixed(under: Image, over: Image, alpha: np.ndarray) -> Image:
    weight = cv2.cvtColor(alpha, cv2.COLOR_GRAY2BGR)
    first = cv2.multiply(over, weight, scale=1 / 255)
    second = cv2.multiply(under, cv2.bitwise_not(weight), scale=1 / 255)
    return np.asarray(cv2.add(first, second), np.uint8)


def _soft(view: Image, sigma_x: float, sigma_y: float) -> Image:
    """Blur; wide kernels at half size."""
    if min(sigma_x, sigma_y) < 4:
        return np.asarray(cv2.GaussianBlur(view, (0, 0), sigma_x, sigmaY=sigma_y), np.uint8)
    height, width = view.shape[:2]
    half = cv2.resize(view, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    return np.asarray(
        cv2.resize(cv2.GaussianBlur(half, (0, 0), sigma_x / 2, sigmaY=sigma_y / 2), (width, height)), np.uint8
    )


def _shares(values: Field) -> Field:
    """Return each pixel's rank among all, 0..1: the part of the picture that comes before it."""
    flat = np.argsort(np.argsort(values, axis=None))
    return (flat.reshape(values.shape) / (values.size - 1)).astype(np.float32)


def _order(kind: str, rng: np.random.Generator, width: int, height: int) -> Field:
    """Return in which order the pixels of a small view are covered, as ranks 0..1."""
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j].astype(np.float32)
    angle = rng.uniform(0, 2 * math.pi)
    across, along = (
        (x - 0.5) * math.cos(angle) + (y - 0.5) * math.sin(angle),
        (y - 0.5) * math.cos(angle) - (x - 0.5) * math.sin(angle),
    )
    rough = clouds(rng, width, height, cells=3, octaves=2)
    if kind == "hand":
        return _shares(across + 0.1 * np.abs(np.sin(7 * along + rng.uniform(0, 3))) + 0.02 * rough)
    if kind in {"cloth", "paper"}:
        return _shares(across + (0.04 * rough if kind == "cloth" else 0))
    centre = rng.uniform(0.3, 0.7, 2)
    away_x, away_y = x - centre[0], y - centre[1]
    if kind == "sticker":
        tilt = rng.uniform(0, 1)
        return _shares(np.maximum(np.abs(away_x + tilt * 0.3 * away_y), np.abs(away_y - tilt * 0.3 * away_x)))
    return _shares(np.hypot(away_x, away_y) + (0.1 if kind == "spray" else 0.03) * rough)


def _cover_texture(kind: str, rng: np.random.Generator, width: int, height: int) -> Image:
    """Return the surface before the lens: too close to be sharp."""
    smooth = clouds(rng, width, height, cells=2, octaves=3)
    if kind == "hand":
        base, spread = tint(rng, (95, 120, 185), 25), 0.15
    elif kind == "paper":
        base, spread = tint(rng, (195, 200, 205), 15), 0.06
    elif kind == "spray":
        level = float(rng.choice([70, 110, 190]))
        base, spread = tint(rng, (level, level, level), 15), 0.1
    else:
        base, spread = tint(rng, (120, 120, 130), 40), 0.1
    base = (max(base[0], 45.0), max(base[1], 45.0), max(base[2], 45.0))
    surface = np.full((height, width, 3), base, np.float32) * (1 + spread * smooth[..., None])
    if kind == "spray":
        grain = cv2.GaussianBlur(rng.standard_normal((height, width)).astype(np.float32), (0, 0), width / 150)
        surface *= (1 + 0.12 * grain / grain.std())[..., None]
    if kind == "cloth":
        printed = cv2.resize(wallpaper(rng, base), (width, height)).astype(np.float32)
        folds = 1 + 0.25 * np.sin(np.linspace(0, 2 * np.pi * rng.uniform(2, 6), width, dtype=np.float32))[None, :, None]
        surface = cv2.GaussianBlur(0.6 * surface + 0.4 * printed, (0, 0), width / 70) * folds
    return to_image(surface)


def _uniform(picture: Planar, colour: tuple[int, int, int]) -> Planar:
    out = np.empty_like(picture)
    height = picture.shape[0] * 2 // 3
    out[:height] = colour[0]
    chroma = out[height:].reshape(2, -1)
    chroma[0], chroma[1] = colour[1], colour[2]
    return out


def _bars(out: Planar, width: int, height: int) -> None:
    """Draw colour bars, in place."""
    colours = (
        (180, 128, 128),
        (162, 44, 142),
        (131, 156, 44),
        (112, 72, 58),
        (84, 184, 198),
        (65, 100, 212),
        (35, 212, 114),
    )
    chroma = out[height:].reshape(2, height // 2, width // 2)
    for number, (y, u, v) in enumerate(colours):
        left, right = number * width // 7 // 2 * 2, (number + 1) * width // 7 // 2 * 2 if number < 6 else width
        out[:height, left:right] = y
        chroma[0, :, left // 2 : right // 2], chroma[1, :, left // 2 : right // 2] = u, v


def _damage(picture: Planar, share: float, kind: str, rng: np.random.Generator, width: int, height: int) -> Planar:
    """Return the picture as a decoder shows it after lost data: row after row, each from some macroblock on."""
    out = picture.copy()
    luma, chroma = out[:height], out[height:].reshape(2, height // 2, width // 2)
    rows = height // _MACROBLOCK
    damaged = max(1, math.ceil(share * rows / 0.85))
    first = int(rng.integers(0, max(1, rows - damaged + 1)))
    for row in range(first, min(rows, first + damaged)):
        start = 0 if rng.random() < 0.7 else int(rng.integers(0, width // _MACROBLOCK)) * _MACROBLOCK
        top = row * _MACROBLOCK
        part = np.s_[top : top + _MACROBLOCK, start:width]
        small = np.s_[:, top // 2 : top // 2 + _MACROBLOCK // 2, start // 2 : width // 2]
        if kind == "smeared":
            luma[part] = luma[max(first * _MACROBLOCK - 1, 0), start:width][None]
            chroma[small] = chroma[:, max(first * 8 - 1, 0), start // 2 : width // 2][:, None]
        elif kind == "green":
            luma[part], chroma[small] = luma[part] // 12, 0
        else:
            residue = luma[part].astype(np.int16) - cv2.blur(luma[part], (9, 9)).astype(np.int16)
            luma[part], chroma[small] = np.clip(128 + residue // 2, 16, 235).astype(np.uint8), 128
    return out
