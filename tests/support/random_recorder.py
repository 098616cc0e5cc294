"""Seeded random recorders, and what they truly hold: indexes, clocks, locked clips, lost days, late cameras."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from agents.simulators.camera import Camera
from agents.simulators.footage import Footage, Segment
from agents.simulators.recorder import AlarmInput, Channel, Disk, RecorderState
from monitor.model.span import DAY, HOUR, MINUTE, Millis, Spans

STEADY_ZONES = ("Asia/Shanghai", "Asia/Kolkata", "America/Phoenix", "Asia/Kathmandu", "UTC")
SUMMER_ZONES = ("Europe/Berlin", "America/New_York", "Australia/Sydney")
"""There the footage of a random recorder has no hole: in a repeated hour a hole can't be told from the other pass."""


@dataclass
class Random:
    """A recorder's state, and by channel what it holds, unlocked and locked, in true time."""

    state: RecorderState
    held: dict[str, Spans]
    locked: dict[str, Spans]
    days: int

    @property
    def offset_seconds(self) -> float:
        return self.state.clock_offset_seconds


def random_recorder(seed: int, now: Millis, clock: Callable[[], float], *, most_days: int = 100) -> Random:
    """Make the recorder of `seed`, whose newest footage ends at `now` (a whole second)."""
    chance = random.Random(seed)
    summer = chance.random() < 0.3
    days = chance.randint(2, most_days)
    offset = chance.choice([0, 0, 0, 1, -2, 47, -2100, 3600, 7 * 3600])
    channels, held, locked = [], {}, {}
    for number in sorted(chance.sample(range(1, 9), chance.randint(1, 3))):
        segments = _segments(chance, now, days, offset, whole=summer)
        camera = Camera(seed * 100 + number, now=clock)
        footage = Footage(segments, lag_seconds=0)
        channels.append(Channel(number, f"camera {number}", camera, footage, live=False, online=chance.random() < 0.9))
        held[str(number)] = _spans([one for one in segments if not one.locked])
        locked[str(number)] = _spans([one for one in segments if one.locked])
    disks = [
        Disk(number, status=chance.choice(["ok", "ok", "idle", "error"])) for number in range(1, chance.randint(2, 5))
    ]
    state = RecorderState(
        channels,
        disks,
        timezone=chance.choice(SUMMER_ZONES if summer else STEADY_ZONES),
        clock_offset_seconds=offset,
        alarm_inputs=[AlarmInput(1, "红外", armed=chance.random() < 0.5)],
        seed=seed,
        now=clock,
    )
    return Random(state, held, locked, days)


def _segments(chance: random.Random, now: Millis, days: int, offset: float, *, whole: bool) -> list[Segment]:
    """Cut the latest days into files; unless `whole`, with holes, lost days, overlaps, twins and locked clips."""
    length = chance.choice([10 * MINUTE, 30 * MINUTE, HOUR, HOUR])
    late = chance.randint(0, days - 1) if chance.random() < 0.2 else 0  # a camera that came later
    at = now - (days - late) * DAY
    segments: list[Segment] = []
    while at < now:
        until = min(now, at + (length if whole else max(1000, int(length * chance.random()) // 1000 * 1000)))
        locked = not whole and chance.random() < 0.02
        segments.append(Segment(at / 1000, until / 1000, locked=locked, clock_offset_seconds=offset))
        if not whole and chance.random() < 0.03:
            segments.append(segments[-1])
        at = until if whole else until + _pause(chance)
    return segments


def _pause(chance: random.Random) -> Millis:
    """Return how long nothing is recorded after a file; less than nothing is an overlap."""
    draw = chance.random()
    if draw < 0.8:
        return 0
    if draw < 0.9:
        return -2000 if draw < 0.85 else 1000
    return 3 * DAY if draw > 0.997 else chance.randint(0, 20 * 60) * 1000


def _spans(segments: list[Segment]) -> Spans:
    return Spans.of([(round(one.start * 1000), round(one.end * 1000)) for one in segments])


def shifted(spans: Spans, seconds: float) -> Spans:
    """Return the spans as a clock that is `seconds` ahead dates them."""
    return Spans(spans.pairs + round(seconds * 1000))
