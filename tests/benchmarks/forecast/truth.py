"""Recorders whose future is known: what is written each day, what fits, and on which day the required days are lost."""

from __future__ import annotations

import math
import random
from collections import deque
from dataclasses import dataclass, field

REQUIRED_DAYS = 90
GB = 10**9
DAYS = 330
"""So long each recorder is simulated."""

WATCHED_FROM = 100
"""The day on which the agent comes: until then there is only history."""

CHANGES = ("bit_rate_up", "frame_rate_up", "camera_added", "disk_lost", "quota")
CLEAN = ("steady", "weekends", "noisy", "holidays", "camera_removed", "bit_rate_down", "rises_within_room")
KINDS = CHANGES + CLEAN


@dataclass
class Recorder:
    """One seeded recorder: what each camera writes on each day (bytes), and how much room there is on it."""

    kind: str
    seed: int
    changes_on: int
    written: list[list[float]]
    """By camera, by day; 0 before a camera was there."""
    room: list[float]
    """Bytes that fit at the end of each day."""
    shown: list[float]
    """What the recorder says its disks hold, by day."""
    held: list[float] = field(default_factory=list)
    """Days held at the end of each day, the part that is left of the oldest one included."""
    first_whole: list[int] = field(default_factory=list)
    """The oldest day held whole at the end of each day."""
    left: list[float] = field(default_factory=list)
    """Share that is left of the day before the oldest whole one, at the end of each day."""

    @property
    def breaks_on(self) -> int | None:
        """The first day from the agent's coming on in whose course less than the required days was held; None without any."""
        return next((day for day in range(WATCHED_FROM, DAYS) if self.held[day] < REQUIRED_DAYS), None)


def recorder_of(kind: str, seed: int) -> Recorder:
    """Return the recorder of a kind and seed, run to its end."""
    chance = random.Random(f"{kind} {seed}")
    count = chance.choice((2, 4, 8, 16))
    changes_on = WATCHED_FROM + chance.randrange(5, 40)
    rates = [chance.uniform(8, 40) * GB for _ in range(count)]
    noise = chance.uniform(0.10, 0.2) if kind == "noisy" else chance.uniform(0.0, 0.05)
    weekend = chance.uniform(0.5, 0.8) if kind in {"weekends", "holidays"} or chance.random() < 0.3 else 1.0
    written = []
    for number, rate in enumerate(rates):
        line = []
        for day in range(DAYS):
            factor = (weekend if day % 7 >= 5 else 1.0) * max(0.2, chance.gauss(1.0, noise))
            line.append(rate * factor * _change(kind, day - changes_on, number, count, seed))
        written.append(line)
    usual = sum(map(sum, (line[: WATCHED_FROM - 1] for line in written))) / (WATCHED_FROM - 1)
    spare = 1.25 if kind == "noisy" else chance.uniform(1.12, 1.3)
    size = usual * REQUIRED_DAYS * spare * (2.2 if kind == "rises_within_room" else 1.0)
    used = chance.uniform(0.88, 0.98)
    disks = chance.choice((2, 4))
    lost = 1 - 1 / disks if kind == "disk_lost" else chance.uniform(0.6, 0.75) if kind == "quota" else 1.0
    room = [size * (lost if day >= changes_on else 1.0) for day in range(DAYS)]
    shown = [size / used * (lost if day >= changes_on and kind == "disk_lost" else 1.0) for day in range(DAYS)]
    found = Recorder(kind, seed, changes_on, written, room, shown)
    _run(found)
    return found


def _change(kind: str, since: int, camera: int, cameras: int, seed: int) -> float:
    """Return by how much a camera's rate differs so many days after the change."""
    strength = random.Random(f"strength {seed}").uniform(1.5, 2.2)
    if kind == "camera_added":
        return 1.0 if since >= 0 or camera < max(1, cameras // 2) else 0.0
    if since < 0:
        return 1.0
    if kind == "holidays":
        return 0.4 if since < 14 else 1.0
    return {
        "bit_rate_up": strength,
        "frame_rate_up": strength if camera % 2 == 0 or cameras <= 2 else 1.25,
        "camera_removed": 0.0 if camera == cameras - 1 else 1.0,
        "bit_rate_down": 0.6,
        "rises_within_room": 1.5,
    }.get(kind, 1.0)


def _run(recorder: Recorder) -> None:
    """Let it write and overwrite: the oldest bytes go first, a day that lost some is no whole day."""
    kept: deque[list[float]] = deque()  # [day, bytes left, bytes written]
    total = 0.0
    for day in range(DAYS):
        size = sum(line[day] for line in recorder.written)
        kept.append([day, size, size])
        total += size
        while total > recorder.room[day]:
            gone = min(kept[0][1], total - recorder.room[day])
            kept[0][1] -= gone
            total -= gone
            if kept[0][1] <= 0:
                kept.popleft()
        cut = not math.isclose(kept[0][1], kept[0][2])
        first = int(kept[0][0]) + cut
        recorder.first_whole.append(first)
        recorder.left.append(kept[0][1] / kept[0][2] if cut else 0.0)
        recorder.held.append(day + 1 - first + recorder.left[-1])
