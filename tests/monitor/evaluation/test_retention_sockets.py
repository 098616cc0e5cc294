"""Ninety days over the wire: the auditor knows what was recorded, the engine only what a recorder answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from agents.recorders.registry import DRIVERS
from agents.scan.recorder import Channelled, RecorderScan
from agents.simulators.camera import Camera as Lens
from agents.simulators.footage import Footage, Segment
from agents.simulators.hikvision import HikvisionSimulator
from agents.simulators.recorder import Channel, Quirks, RecorderState
from monitor.model.clock import ManualClock
from monitor.model.observation import Observation
from support.auditor import Books, Interval, audit
from support.indexes import random_books
from support.judging import judged, statement_of
from support.recorder_http import recorder_settings
from support.rounds import rounds_over

SEEDS = range(10)


def whole_seconds(books: Books, locked: list[Interval]) -> tuple[Books, list[Interval]]:
    """A recorder's index knows whole seconds, and a file is locked or it isn't."""

    def cut(spans: list[Interval]) -> list[Interval]:
        return [(start // 1000 * 1000, end // 1000 * 1000) for start, end in spans]

    unlocked = cut(books.unlocked)
    return replace(books, as_of=books.as_of.replace(microsecond=0), unlocked=unlocked, first_seen=None), cut(locked)


async def read_over_the_wire(books: Books, locked: list[Interval], directory: Path) -> list[Observation]:
    """Put the index into a simulated recorder and let the agent's own scan read it, by ISAPI over a socket."""
    clock = ManualClock(books.as_of)

    def now() -> float:
        return clock.now().timestamp()

    segments = [Segment(start / 1000, end / 1000) for start, end in books.unlocked]
    segments += [Segment(start / 1000, end / 1000, locked=True) for start, end in locked]
    channel = Channel(1, "gate", Lens(1, now=now), Footage(segments, lag_seconds=0), live=False)
    state = RecorderState([channel], now=now, timezone=books.zone, quirks=Quirks(search_seconds=0))
    seen: list[Observation] = []
    async with HikvisionSimulator(state) as simulator:
        settings = recorder_settings(
            directory, simulator.url, clock=clock, username=state.username, password=state.password,
            timezone=ZoneInfo(books.zone), options={}, rtsp_port=simulator.rtsp.port,
        )  # fmt: skip
        driver = DRIVERS["hikvision"](settings)
        try:
            scan = RecorderScan("nvr", driver, [Channelled("gate", "1")], clock, seen.append)
            await scan.look()
            with rounds_over(scan, clock, seen, directory, zone=books.zone) as rounds:
                assert await rounds.round(books.required_days)
        finally:
            await driver.close()
    return seen


@pytest.mark.parametrize("seed", SEEDS)
async def test_what_the_agent_reads_gives_the_auditors_figures(seed: int, tmp_path: Path) -> None:
    books, locked = whole_seconds(*random_books(seed))
    seen = await read_over_the_wire(books, locked, tmp_path)
    assert statement_of(judged(books, seen)) == audit(books)
