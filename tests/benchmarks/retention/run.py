"""Ninety days of one-minute segments of many cameras: what judging their retention costs beside one plain pass of numpy."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from monitor.evaluation.judge import judge
from monitor.model.inventory import Camera, Institution, Inventory, Recorder, Zone
from monitor.model.ledger import Facts
from monitor.model.observation import Kind, Observation, Subject
from monitor.model.recordings import RecordingFacts
from monitor.model.regulation import Regulation
from monitor.model.span import DAY, HOUR, MINUTE, Int64Array, Millis, Spans
from monitor.model.verdict import Outcome
from support.packs import pack

NOON: Millis = 20_600 * DAY + 12 * HOUR
OTHERS = (
    "uptime", "zone_coverage", "view", "picture_quality", "forbidden_zone", "undeclared_channel", "alarm_system",
    "recording_completeness", "recorder_clock", "storage_health", "measurability", "agent_silence",
)  # fmt: skip


@dataclass(frozen=True)
class Measured:
    """Seconds of CPU, the best of some runs."""

    rows: int
    plain: float
    judged: float

    @property
    def times(self) -> float:
        """Return how many times a plain pass the judging costs."""
        return self.judged / self.plain


def segments_of(camera: int, days: int) -> Int64Array:
    """Return a camera's segments, shape (n, 2): a minute each, half a second short, and some missing."""
    starts = np.arange(NOON - (days + 1) * DAY, NOON, MINUTE, dtype=np.int64)
    chance = np.random.default_rng(camera)
    kept = starts[chance.random(len(starts)) > 0.0005]
    return np.column_stack((kept, kept + MINUTE - 500))


def inventory_of(cameras: int) -> Inventory:
    """Return a site of so many cameras at one recorder."""
    return Inventory(
        institution=Institution(id="wj-0001", timezone="UTC"),
        zones=(Zone(id="room", room="play"),),
        recorders=(Recorder(id="nvr", driver="files"),),
        cameras=tuple(Camera(id=f"c{n}", zones=("room",), recorder="nvr") for n in range(cameras)),
    )


def facts_of(cameras: int, days: int) -> Facts:
    """Return what is known of a site of so many cameras, each day whole but for lost minutes."""
    inventory = inventory_of(cameras)
    window = Spans.window(NOON - (days + 5) * DAY, NOON)
    readings = {}
    for number in range(cameras):
        read = Observation(
            subject=Subject(kind="camera", id=f"c{number}"), kind=Kind.RECORDINGS, start=NOON, end=NOON, state="read",
            expires=NOON + DAY,
        )  # fmt: skip
        spans = Spans.of(segments_of(number, days))
        readings[f"c{number}"] = RecordingFacts(spans, Spans.empty(), window, NOON, NOON + DAY, read)
    return Facts(NOON, inventory, recordings=readings)


def plain_pass(listed: list[Int64Array]) -> int:
    """Find each camera's holes and its minutes a day once, as anybody would with numpy; return how many holes there are.

    Files over midnight count for the day they begin on, time zones, closures and the far edge for nothing.
    """
    holes = 0
    for pairs in listed:
        starts, ends = pairs[:, 0], pairs[:, 1]
        holes += int(np.count_nonzero(starts[1:] - np.maximum.accumulate(ends)[:-1] > MINUTE))
        np.bincount((starts - starts[0]) // DAY, weights=ends - starts)
    return holes


def measure(cameras: int, days: int = 90, runs: int = 5) -> Measured:
    """Run both sides and return the best of each."""
    facts = facts_of(cameras, days)
    regulation: Regulation = pack(**dict.fromkeys(OTHERS), retention={"required_days": days})
    listed = [reading.footage.pairs for reading in facts.recordings.values()]

    def judged() -> None:
        found = judge(facts, regulation)
        assert len(found) == cameras
        assert {item.outcome for item in found} == {Outcome.MET}

    plain = _best(lambda: plain_pass(listed), runs)
    return Measured(sum(map(len, listed)), plain, _best(judged, runs))


def _best(work: Callable[[], object], runs: int) -> float:
    took = []
    for _ in range(runs):
        begun = time.process_time()
        work()
        took.append(time.process_time() - begun)
    return min(took)
