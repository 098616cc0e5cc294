"""One seeded recorder of one make, read through its driver at the level of replies, held against what it truly holds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from agents.recorders.base import Recorder
from agents.scan.recorder import Channelled, RecorderScan
from agents.simulators.camera import Camera
from agents.simulators.dahua import DahuaSimulator
from agents.simulators.footage import Footage, Segment
from agents.simulators.hikvision import HikvisionSimulator
from agents.simulators.onvif import OnvifSimulator
from agents.simulators.recorder import Channel, RecorderState
from agents.simulators.uniview import UniviewSimulator
from monitor.model.clock import ManualClock
from monitor.model.ledger import fold
from monitor.model.observation import Observation
from monitor.model.recordings import TAIL
from monitor.model.span import Spans, to_millis
from support.auditor import Books, Interval, audit
from support.indexes import random_books
from support.judging import inventory_of, judged, statement_of
from support.recorder_rigs import RUDE, Rig, driver_of
from support.replies import at_the_level_of_replies
from support.rounds import rounds_over

OFFSETS = (0, 0, 0, 47, -47, -2100, 3600)
"""Seconds by which a recorder's clock is ahead. Less than the ledger takes for a wrong clock would be no error of it."""

WALL_CLOCK = frozenset({"hikvision", "dahua"})
"""Makes whose index tells wall times without their zone."""

HALF_A_SECOND = timedelta(milliseconds=500)
"""Recorders cut their seconds off, and drivers add half of one back: asked in the middle of a second, both agree."""


@dataclass(frozen=True)
class Judged:
    """What was wrong with one recorder: nothing, when the agent got everything right."""

    make: str
    seed: int
    wrong: tuple[str, ...]
    requests: int
    untold: bool = False
    """Clips lie in an hour that summer time's end repeats, and the index doesn't say in which of the two: nobody can."""


def books_of(seed: int) -> tuple[Books, list[Interval]]:
    """Return what the recorder of `seed` holds, in whole seconds and as of the middle of one, and its locked clips."""
    books, locked = random_books(seed)

    def cut(spans: list[Interval]) -> list[Interval]:
        return [(start // 1000 * 1000, end // 1000 * 1000) for start, end in spans if end - start >= 1000]

    as_of = books.as_of.replace(microsecond=0) + HALF_A_SECOND
    return replace(books, as_of=as_of, unlocked=cut(books.unlocked), first_seen=None), cut(locked)


def state_of(books: Books, locked: list[Interval], seed: int, clock: ManualClock) -> RecorderState:
    """Return the recorder: the index under its own clock, and a seeded wrong clock."""
    offset = Random(seed).choice(OFFSETS)

    def now() -> float:
        return clock.now().timestamp()

    segments = [Segment(a / 1000, b / 1000, clock_offset_seconds=offset) for a, b in books.unlocked]
    segments += [Segment(a / 1000, b / 1000, locked=True, clock_offset_seconds=offset) for a, b in locked]
    channel = Channel(1, "gate", Camera(1, now=now), Footage(segments, lag_seconds=0), live=False)
    return RecorderState([channel], now=now, timezone=books.zone, seed=seed, clock_offset_seconds=offset)


def shake(simulator: Any, seed: int) -> None:
    """Give the firmware habits of its own."""
    chance = Random(seed + 1)
    if isinstance(simulator, HikvisionSimulator):
        simulator.state.quirks.wide_window = chance.choice(["flaky", "fails", "works"])
        simulator.state.quirks.max_results = chance.choice([40, 50])
    elif isinstance(simulator, DahuaSimulator):
        simulator.quirks.page_cap = chance.choice([100, 64, 20])
        simulator.quirks.nothing_found = chance.choice(["400", "found=0"])
        simulator.quirks.end_of_list = chance.choice(["found=0", "400"])
        simulator.quirks.zone_tables = chance.random() < 0.8
    elif isinstance(simulator, UniviewSimulator):
        simulator.quirks.counting = chance.choice(["page", "all", "total", "none"])
        simulator.quirks.page_cap = chance.choice([7, 40, 200])
        simulator.quirks.calendar = chance.random() < 0.7
    elif isinstance(simulator, OnvifSimulator):
        simulator.quirks.page_size = chance.choice([9, 40, 200])
        simulator.quirks.login = chance.choice(["digest", "token", "none"])
        simulator.quirks.get_services = chance.random() < 0.8


async def judge(rig: Rig, seed: int, folder: Path) -> Judged:
    """Read the recorder of `seed` as the agent does, and compare the ledger and the verdict with the truth."""
    books, locked = books_of(seed)
    clock = ManualClock(books.as_of)
    simulator = rig.simulator(state_of(books, locked, seed, clock))
    shake(simulator, seed)
    driver = driver_of(rig, simulator, folder, clock, timezone=ZoneInfo(books.zone))
    at_the_level_of_replies(driver, simulator, clock)
    seen: list[Observation] = []
    try:
        whole = await scanned(driver, clock, books, seen, folder / f"{rig.driver}-{seed}")
    finally:
        await driver.close()
    stats = simulator.stats()
    rude = [f"manners: {name} {stats[name]}" for name in RUDE if stats.get(name)]
    wrong, untold = _compared(books, locked, seen, rig)
    wrong += rude
    requests = sum(simulator.requests.values())
    return Judged(rig.driver, seed, tuple(wrong if whole else ["unread", *wrong]), requests, untold)


async def scanned(driver: Recorder, clock: ManualClock, books: Books, seen: list[Observation], folder: Path) -> bool:
    """Let the agent's own rounds ask for everything; return whether the index could be read."""
    scan = RecorderScan("nvr", driver, [Channelled("gate", "1")], clock, seen.append)
    await scan.look()
    with rounds_over(scan, clock, seen, folder, zone=books.zone) as rounds:
        return await rounds.round(books.required_days)


def _compared(books: Books, locked: list[Interval], seen: list[Observation], rig: Rig) -> tuple[list[str], bool]:
    """Return what is wrong, and whether clips of a repeated hour were taken as the agent took them."""
    facts = fold(seen, to_millis(books.as_of), inventory=inventory_of(books))
    reading = facts.recordings.get("gate") if facts is not None else None
    if reading is None:
        return ["no index in the ledger"], False
    wrong = []
    # Of the last minutes a reading tells footage, and no holes: they follow what it has scanned.
    last = reading.scanned.end or 0
    told_of = reading.scanned.union(Spans.window(last, last + TAIL)).clip(0, reading.read_at)
    truth = Spans.of(books.unlocked).intersect(told_of)
    apart = Spans.of(locked).intersect(told_of)
    if "locks" in rig.lacks:
        truth, apart = truth.union(apart), Spans.empty()
    told = replace(books, unlocked=books.unlocked + locked) if "locks" in rig.lacks else books
    twice = repeated_hours(books) if rig.driver in WALL_CLOCK and reading.footage != truth else Spans.empty()
    untold = _apart(reading.footage, truth) > 0 and reading.footage.subtract(twice) == truth.subtract(twice)
    if untold:
        mine = Spans.of(told.unlocked).subtract(twice).union(reading.footage.intersect(twice))
        told, truth = replace(told, unlocked=mine.tuples()), reading.footage
    if reading.footage != truth:
        wrong.append(f"footage off by {_apart(reading.footage, truth) / 1000:g} s")
    if reading.locked != apart:
        wrong.append(f"locked clips off by {_apart(reading.locked, apart) / 1000:g} s")
    if statement_of(judged(told, seen)) != audit(told):
        wrong.append("verdict")
    return wrong, untold


def repeated_hours(books: Books) -> Spans:
    """Return the hours of the last 400 days whose wall times come twice, both of each."""
    zone, last = ZoneInfo(books.zone), books.as_of.replace(minute=0, second=0, microsecond=0)
    hours = [last - timedelta(hours=number) for number in range(400 * 24)]
    second = [to_millis(hour) for hour in hours if hour.astimezone(zone).fold]
    return Spans.of([(start - 3_600_000, start + 3_600_000) for start in second])


def _apart(one: Spans, other: Spans) -> int:
    return one.subtract(other).total() + other.subtract(one).total()
