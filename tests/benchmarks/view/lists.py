"""The two lists of scenes, for tuning and for scoring, and the clips that are made of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import yaml

from benchmarks.view.camera import outdoors
from benchmarks.view.plan import DAY_SECONDS, STATES, Clip, clean_day, tampered_clip
from benchmarks.view.stage import Scene, footage_present

_FOLDER: Final = Path(__file__).parent / "lists"
NAMES: Final = ("tune", "score")
_PER_CLIP: Final = 6
_LOOPS_PER_CLIP: Final = 2
SHORT_ROUNDS: Final = 4
SHORT_DAYS: Final = 2


@dataclass(frozen=True)
class SceneList:
    """Cameras, and how much is made of them. A round is one event of every state."""

    name: str
    seed: int
    rounds: int
    clean_days: int
    scenes: tuple[Scene, ...]


def load(name: str, seed: int | None = None) -> SceneList:
    """Read a list of the repository: `tune` or `score`.

    With a `seed` its kinds of places and cameras are drawn anew, and all that happens: scenes that nobody has seen before.
    """
    raw = yaml.safe_load((_FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    scenes = tuple(Scene(**item) for item in raw["scenes"])
    found = SceneList(name, int(raw["seed"]), int(raw["rounds"]), int(raw["clean_days"]), scenes)
    if seed is None:
        return found
    rng = np.random.default_rng([seed, 89])
    drawn = tuple(replace(scene, seed=int(rng.integers(2**31))) for scene in scenes)
    return replace(found, name=f"{name}~{seed}", seed=int(rng.integers(2**31)), scenes=drawn)


def clips(scenes: SceneList, *, short: bool = False) -> Iterator[Clip]:
    """Plan the clips of a list, round by round, clean days spread among them, so that any beginning is balanced.

    A clip whose footage isn't here is left out, and no other takes its seed.
    """
    rounds = SHORT_ROUNDS if short else scenes.rounds
    days = SHORT_DAYS if short else scenes.clean_days
    made = 0
    for number in range(rounds):
        yield from (clip for clip in _round(scenes, number) if footage_present(clip.scene.base))
        while made < days and made * rounds < days * (number + 1):
            clip = _day(scenes, made)
            made += 1
            if footage_present(clip.scene.base):
                yield clip


def _round(scenes: SceneList, number: int) -> Iterator[Clip]:
    rng = np.random.default_rng([scenes.seed, 79, number])
    others = [state for state in STATES if state != "looped"]
    order = [others[position] for position in rng.permutation(len(others))]
    for part in range(len(order) // _PER_CLIP):
        states = order[part * _PER_CLIP : (part + 1) * _PER_CLIP]
        yield _tampered(scenes, f"{scenes.name}-{number:03d}{'ab'[part]}", states, rng)
    if number % _LOOPS_PER_CLIP == 0:
        yield _tampered(scenes, f"{scenes.name}-{number:03d}-looped", ["looped"] * _LOOPS_PER_CLIP, rng)


def _tampered(scenes: SceneList, name: str, states: Sequence[str], rng: np.random.Generator) -> Clip:
    scene = scenes.scenes[int(rng.integers(0, len(scenes.scenes)))]
    return tampered_clip(name, scene, int(rng.integers(2**31)), states)


def _day(scenes: SceneList, number: int) -> Clip:
    rng = np.random.default_rng([scenes.seed, 83, number])
    scene = scenes.scenes[(number * 5 + 1) % len(scenes.scenes)]
    seed = int(rng.integers(2**31))
    return clean_day(f"{scenes.name}-day-{number:03d}", scene, seed, seconds=DAY_SECONDS, outdoors=outdoors(scene))
