"""What happens to whom and when: a seeded script for the simulated cameras, and the tempo at which all is played."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

FAULTS = ("die", "stalled", "dead", "black", "frozen", "frozen_sensor")
"""Three that end the frames (no power, no frame, no such stream) and three that leave them running."""


@dataclass(frozen=True)
class Tempo:
    """How fast everything goes, in seconds; the defaults are those of a real site."""

    look_every: float = 10.0
    picture_start: float = 10.2
    """So late a fault of the picture may begin in the journal: the distance of two looks, and a frame of a camera of five a second."""
    report_every: float = 60.0
    reconnect_most: float = 60.0
    keyframe_seconds: float = 2.0
    warm_up: float = 300.0
    """Before anything happens, and before memory is judged."""
    fault: tuple[float, float] = (90.0, 240.0)
    """How long one lasts."""
    healthy: tuple[float, float] = (150.0, 480.0)
    """How long a camera is left alone in between."""
    quiet: float = 120.0
    """At the end everything is well again for so long."""
    sample_every: float = 15.0
    """Between two readings of threads, file handles and memory."""
    noise_mib: float = 2.0
    """By so much memory may rise in any case: what an allocator keeps isn't a leak, and a short soak is all warm-up."""


REAL = Tempo()
HURRIED = Tempo(
    look_every=1.0, picture_start=4.2, report_every=1.0, reconnect_most=1.0, keyframe_seconds=0.4, warm_up=4.0, fault=(9.0, 9.5),
    healthy=(0.0, 1.0), quiet=4.0, sample_every=0.5, noise_mib=24.0,
)  # fmt: skip


@dataclass(frozen=True)
class Episode:
    """One fault of one camera, in seconds after the start."""

    camera: str
    fault: str
    start: float
    end: float


def episodes(cameras: list[str], seconds: float, tempo: Tempo, seed: int) -> list[Episode]:
    """Return what happens, camera by camera; the faults of each are a shuffled deck, so that none is left out."""
    return [item for number, name in enumerate(cameras) for item in _of_one(name, number, seconds, tempo, seed)]


def _of_one(camera: str, number: int, seconds: float, tempo: Tempo, seed: int) -> Iterator[Episode]:
    chance = random.Random(f"{seed}/{camera}")
    deck: list[str] = list(FAULTS[number % len(FAULTS) :] + FAULTS[: number % len(FAULTS)])
    at = tempo.warm_up + chance.uniform(*tempo.healthy)
    while (end := at + chance.uniform(*tempo.fault)) <= seconds - tempo.quiet:
        if not deck:
            deck = list(FAULTS)
            chance.shuffle(deck)
        yield Episode(camera, deck.pop(0), at, end)
        at = end + chance.uniform(*tempo.healthy)


def script(cameras: list[str], planned: list[Episode], tempo: Tempo) -> dict[str, Any]:
    """Return the script for `python -m agents.simulators`."""
    timeline = [
        {"at_seconds": at, "camera": item.camera, "do": what}
        for item in planned
        for at, what in ((item.start, item.fault), (item.end, "revive"))
    ]
    form = {"gop_seconds": tempo.keyframe_seconds}
    return {
        "cameras": [{"id": name, "osd": name, "figures": 2, "format": form} for name in cameras],
        "gateways": [{"id": "router"}],
        "timeline": timeline,
    }
