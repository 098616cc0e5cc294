"""What happens before one camera, and when: tampers with their severities, nuisances, the hour. All from a seed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from benchmarks.view.people import Walk, visits
from benchmarks.view.stage import Scene

LOOK_SECONDS: Final = 10.0
BASELINE_SECONDS: Final = 60.0
"""Nothing but daily life happens until here: the first looks are the approved view."""
DAY_SECONDS: Final = 10_800.0
"""A clean day is three hours of video: light, opening hours and nap run eight times faster, nuisances at their pace."""


@dataclass(frozen=True)
class Variant:
    """One way in which a state comes about. Severities are in a unit of its own."""

    state: str
    name: str
    floor: float
    """From this severity on a miss is a miss."""
    severe: tuple[float, float]
    """What is generated: clearly above the floor."""
    mild: tuple[float, float] | None = None
    """What is generated below the floor: neither a miss nor a false alarm."""
    creeps: bool = False
    also: tuple[str, ...] = ()
    """Other names that a person would give it, too."""
    passing: tuple[str, ...] = ()
    """What it may honestly be called while it creeps in."""
    infrared: bool = True


VARIANTS: Final = (
    # severity: how much of the light is gone
    Variant("black", "cap", 0.97, (1.0, 1.0), creeps=True, passing=("dark", "covered")),
    Variant("black", "dead_sensor", 0.97, (1.0, 1.0)),
    # severity 0.72 is a mean luma of 34, 1.0 one of 24, with the noise of full gain; below it 47 to 56
    Variant("dark", "lights_out", 0.72, (0.78, 1.0), (0.1, 0.35), creeps=True),
    # share of the view at the end of the scale
    Variant("bright", "overexposed", 0.6, (0.7, 0.97), (0.15, 0.35), creeps=True),
    Variant("bright", "glare", 0.6, (0.7, 0.95), (0.15, 0.3), creeps=True),
    Variant("frozen", "clock", 1.0, (1.0, 1.0)),
    Variant("frozen", "still", 1.0, (1.0, 1.0)),
    Variant("frozen", "bytes", 1.0, (1.0, 1.0)),
    # deviation of the blur as a percentage of the view's width
    Variant("blurred", "defocus", 0.6, (0.8, 2.2), (0.08, 0.2), creeps=True),
    Variant("blurred", "grease", 0.6, (0.9, 2.2), (0.08, 0.2), creeps=True),
    # share of the view
    Variant("covered", "hand", 1 / 3, (0.4, 1.0), (0.08, 0.2), passing=("blurred",)),
    Variant("covered", "sticker", 1 / 3, (0.4, 1.0), (0.08, 0.2), creeps=True, passing=("blurred",)),
    Variant("covered", "spray", 1 / 3, (0.4, 1.0), (0.08, 0.2), creeps=True, passing=("blurred",)),
    Variant("covered", "cloth", 1 / 3, (0.4, 1.0), (0.08, 0.2), creeps=True, passing=("blurred",)),
    Variant("covered", "paper", 1 / 3, (0.4, 1.0), (0.08, 0.2), creeps=True, passing=("blurred",)),
    # shares of the view; degrees; zoom less one
    Variant("moved", "turned", 0.08, (0.12, 0.4), (0.01, 0.03), creeps=True),
    Variant("moved", "pushed", 0.08, (0.12, 0.3), (0.01, 0.03)),
    Variant("moved", "tilted", 6.0, (8.0, 30.0), (0.5, 2.0), creeps=True),
    Variant("moved", "zoomed", 0.2, (0.28, 0.8), (0.02, 0.06)),
    Variant("moved", "elsewhere", 1.0, (1.0, 1.0)),
    # deviation of luma in levels; share of struck pixels; deviation of the colours in levels
    Variant("noisy", "snow", 15.0, (20.0, 45.0), (2.0, 6.0), creeps=True),
    Variant("noisy", "pepper", 0.04, (0.06, 0.2), (0.002, 0.008)),
    Variant("noisy", "colour", 15.0, (22.0, 40.0), (2.0, 6.0), infrared=False),
    # levels from the middle of a stripe to its edge
    Variant("striped", "horizontal", 12.0, (18.0, 45.0), (1.5, 4.0), creeps=True),
    Variant("striped", "vertical", 12.0, (18.0, 45.0), (1.5, 4.0), creeps=True),
    Variant("striped", "diagonal", 12.0, (18.0, 45.0), (1.5, 4.0)),
    Variant("striped", "rolling", 12.0, (18.0, 45.0), (1.5, 4.0)),
    # levels that the colour of grey is off
    Variant("colour_cast", "offset", 15.0, (22.0, 50.0), (2.0, 6.0), creeps=True, infrared=False),
    Variant("colour_cast", "channel", 15.0, (22.0, 50.0), (2.0, 6.0), creeps=True, infrared=False),
    Variant("signal_lost", "plain", 1.0, (1.0, 1.0)),
    Variant("signal_lost", "text", 1.0, (1.0, 1.0)),
    Variant("signal_lost", "text_on_black", 1.0, (1.0, 1.0), also=("black",)),
    Variant("signal_lost", "logo", 1.0, (1.0, 1.0)),
    Variant("signal_lost", "bars", 1.0, (1.0, 1.0)),
    # share of the view that is damaged
    Variant("corrupt", "lost_keyframes", 0.2, (1.0, 1.0), also=("signal_lost",)),
    Variant("corrupt", "lost_slices", 0.2, (0.3, 0.9), (0.02, 0.08)),
    Variant("corrupt", "grey", 0.2, (0.3, 0.8), (0.02, 0.08)),
    Variant("corrupt", "green", 0.2, (0.3, 0.8), (0.02, 0.08)),
    Variant("corrupt", "smeared", 0.2, (0.3, 0.8), (0.02, 0.08)),
    Variant("looped", "copied", 1.0, (1.0, 1.0)),
    Variant("looped", "reencoded", 1.0, (1.0, 1.0)),
)  # fmt: skip

STATES: Final = tuple(dict.fromkeys(variant.state for variant in VARIANTS))


@dataclass(frozen=True)
class Tamper:
    """One planned event."""

    variant: Variant
    seed: int
    start: float
    """When the change begins, in seconds of the video."""
    full: float
    """When it is complete; `start` where it is abrupt."""
    end: float
    severity: float
    period: float = 0.0
    """A loop's length."""

    @property
    def counts(self) -> bool:
        """Tell whether a miss is a miss."""
        return self.severity >= self.variant.floor

    @property
    def begins(self) -> float:
        """When the severity reaches the floor: the instant from which delays are counted."""
        if not self.counts:
            return self.start
        return self.start + (self.full - self.start) * self.variant.floor / self.severity

    def on(self, at: float) -> bool:
        """Tell whether anything of it is there."""
        return self.start <= at < self.end

    def amount(self, at: float) -> float:
        """Return the severity at an instant."""
        if not self.on(at):
            return 0.0
        if at >= self.full:
            return self.severity
        return self.severity * (at - self.start) / (self.full - self.start)


@dataclass(frozen=True)
class Nuisance:
    """Something that is no tamper."""

    kind: str
    start: float
    end: float
    seed: int


@dataclass(frozen=True)
class Clip:
    """Everything about one video, before a pixel is drawn."""

    id: str
    scene: Scene
    seed: int
    seconds: float
    hour: float
    """Of the day at the first picture."""
    speed: float
    """How much faster the day runs than the video."""
    night: str
    """What the camera does in the dark: `infrared`, or `dark`."""
    weekend: bool = False
    tampers: tuple[Tamper, ...] = ()
    nuisances: tuple[Nuisance, ...] = ()
    walks: tuple[Walk, ...] = ()
    frames_per_second: float = 0.4
    keyframe_every: int = 2
    """In pictures."""
    preset: str = "zerolatency"
    states: tuple[str, ...] = field(default=())
    """What it was made for; empty for a clean day."""

    def hour_at(self, at: float) -> float:
        """Return the hour of the day, 0 to 24."""
        return (self.hour + at * self.speed / 3600) % 24

    def active(self, kind: str, at: float) -> list[Nuisance]:
        """Return the nuisances of one kind at an instant."""
        return [item for item in self.nuisances if item.kind == kind and item.start <= at < item.end]


def _severity(rng: np.random.Generator, variant: Variant, *, mild: bool) -> float:
    low, high = variant.mild if mild and variant.mild else variant.severe
    return float(math.exp(rng.uniform(math.log(low), math.log(high))))


def _tamper(rng: np.random.Generator, state: str, start: float, *, night: bool) -> Tamper:
    choices = [item for item in VARIANTS if item.state == state and (item.infrared or not night)]
    variant = choices[int(rng.integers(0, len(choices)))]
    mild = variant.mild is not None and rng.random() < 0.12
    creeps = variant.creeps and rng.random() < 0.4
    ramp = float(rng.uniform(40, 200)) if creeps else 0.0
    hold = float(rng.uniform(90, 150))
    period = 0.0
    if state == "looped":
        period = float(rng.choice([40, 60, 80, 120]))
        hold = period * float(rng.uniform(2.2, 3.5))
    severity = _severity(rng, variant, mild=mild)
    seed = int(rng.integers(2**31))
    return Tamper(variant, seed, start, start + ramp, start + ramp + hold, severity, period)


def _manner(rng: np.random.Generator, *, looped: bool) -> tuple[float, int, str]:
    """Choose pictures a second, pictures from keyframe to keyframe, and the encoder's manner."""
    rate, every = [(0.4, 2), (0.4, 4), (0.5, 5), (0.6, 3)][int(rng.integers(0, 4))]
    if looped:
        rate, every = 5.0, 20
    return rate, every, str(rng.choice(["zerolatency", "normal"], p=[0.7, 0.3]))


def tampered_clip(name: str, scene: Scene, seed: int, states: Sequence[str]) -> Clip:
    """Plan a video in which each of `states` happens once, with daily life before, between and after."""
    rng = np.random.default_rng([seed, 19])
    night = bool(rng.random() < 0.25) and "colour_cast" not in states
    looped = "looped" in states
    tampers: list[Tamper] = []
    at = BASELINE_SECONDS + float(rng.uniform(0, 40))
    for state in states:
        draft = _tamper(rng, state, 0.0, night=night)
        at += draft.period
        tamper = _tamper_at(draft, at)
        tampers.append(tamper)
        at = tamper.end + float(rng.uniform(80, 140))
    nuisances = _between(rng, tampers, night=night)
    rate, every, preset = _manner(rng, looped=looped)
    busy = float(rng.choice([0.3, 1.5, 3.0])) if not looped else 2.5
    return Clip(
        id=name,
        scene=scene,
        seed=seed,
        seconds=at,
        hour=float(rng.uniform(20.5, 22.5) if night else rng.uniform(9, 15)),
        speed=1.0,
        night="infrared" if night or rng.random() < 0.6 else "dark",
        tampers=tuple(tampers),
        nuisances=tuple(nuisances),
        walks=tuple(visits(rng, 0, at, busy * (0.3 if night else 1))),
        frames_per_second=rate,
        keyframe_every=every,
        preset=preset,
        states=tuple(states),
    )


def _tamper_at(draft: Tamper, at: float) -> Tamper:
    return Tamper(draft.variant, draft.seed, at, at + draft.full, at + draft.end, draft.severity, draft.period)


def _between(rng: np.random.Generator, tampers: Sequence[Tamper], *, night: bool) -> list[Nuisance]:
    """Return a few short nuisances in the quiet stretches between tampers."""
    found = []
    for before in tampers[:-1]:
        if rng.random() < 0.5:
            start = before.end + float(rng.uniform(5, 30))
            kind = str(rng.choice(["insect", "exposure", "door", "near"] if not night else ["insect", "headlights"]))
            found.append(Nuisance(kind, start, start + float(rng.uniform(8, 25)), int(rng.integers(2**31))))
    return found


def _daytime(hour: float) -> float:
    """Return the second of the video at which a clean day, which begins at nine, reaches an hour."""
    return ((hour - 9) % 24) / 24 * DAY_SECONDS


_DAILY: Final[tuple[tuple[str, tuple[int, int], tuple[float, float], tuple[float, float]], ...]] = (
    # kind, how many a day, from which hour to which, how many seconds of video each lasts
    ("near", (4, 9), (7.5, 18), (5, 60)),
    ("lamp", (3, 7), (7.5, 18), (30, 400)),
    ("exposure", (5, 12), (7, 19), (2, 60)),
    ("door", (6, 16), (7.5, 18), (5, 120)),
    ("insect", (2, 5), (0, 24), (8, 30)),
    ("vibration", (1, 4), (7, 18), (20, 120)),
    ("headlights", (4, 9), (19, 29), (5, 15)),
    ("sun", (1, 3), (9, 16), (300, 900)),
    ("furniture", (1, 2), (8, 16), (600, 4000)),
)


def clean_day(name: str, scene: Scene, seed: int, *, seconds: float = DAY_SECONDS, outdoors: bool = False) -> Clip:
    """Plan a day without any tamper and with every nuisance; it begins at nine, the view's approval.

    `seconds` below DAY_SECONDS cuts the day short: for a quick trial, not for a figure.
    """
    rng = np.random.default_rng([seed, 23])
    weekend = bool(rng.random() < 0.15)
    found: list[Nuisance] = []

    def add(kind: str, start: float, lasts: float) -> None:
        if start >= BASELINE_SECONDS:
            found.append(Nuisance(kind, start, start + lasts, int(rng.integers(2**31))))

    for kind, (fewest, most), (first, last), (short, long) in _DAILY:
        if weekend and kind not in {"insect", "headlights", "sun", "exposure"}:
            continue
        if outdoors and kind in {"lamp", "furniture"}:
            continue
        for _ in range(int(rng.integers(fewest, most + 1))):
            add(kind, _daytime(float(rng.uniform(first, last))), float(rng.uniform(short, long)))
    if not weekend and not outdoors:
        add("nap", _daytime(12.0 + float(rng.uniform(0, 0.7))), DAY_SECONDS / 24 * 2)
    for kind, chance in (("decoration", 0.5), ("hangings", 0.35), ("partition", 0.35)):
        if rng.random() < chance:
            start = _daytime(float(rng.uniform(9.5, 16)))
            add(kind, start, DAY_SECONDS - start if kind != "partition" else float(rng.uniform(900, 2700)))
    if outdoors and rng.random() < 0.6:
        add("rain", _daytime(float(rng.uniform(9.5, 22))), float(rng.uniform(400, 2000)))
    rate, every, preset = _manner(rng, looped=False)
    return Clip(
        id=name,
        scene=scene,
        seed=seed,
        seconds=seconds,
        hour=9.0,
        speed=24 * 3600 / DAY_SECONDS,
        night=str(rng.choice(["infrared", "dark"], p=[0.7, 0.3])),
        weekend=weekend,
        nuisances=tuple(found),
        walks=() if weekend else _open_hours(rng, seconds),
        frames_per_second=rate,
        keyframe_every=every,
        preset=preset,
    )


def _open_hours(rng: np.random.Generator, seconds: float) -> tuple[Walk, ...]:
    """Return the visits of a day: few in the morning, many at noon, one at night."""
    walks: list[Walk] = []
    for first, last, busy in (
        (9, 11.5, 2.5),
        (11.5, 12.2, 4.0),
        (12.2, 14.3, 0.4),
        (14.3, 17.5, 2.5),
        (17.5, 18.3, 1.0),
        (31, 33, 1.5),
    ):
        walks += visits(rng, _daytime(first), min(_daytime(last) or DAY_SECONDS, DAY_SECONDS), busy)
    return tuple(walk for walk in walks if walk.start < seconds)
