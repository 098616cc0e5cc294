"""From a simulated recorder's own answers to the date in the verdict: sizes told by its index, or estimated from bit rates."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from agents.recorders.registry import DRIVERS
from agents.scan.recorder import Channelled, RecorderScan
from agents.simulators.camera import Camera as Lens
from agents.simulators.dahua import DahuaQuirks, DahuaSimulator
from agents.simulators.footage import Footage, Segment
from agents.simulators.hikvision import HikvisionSimulator
from agents.simulators.recorder import Channel, Disk, Quirks, RecorderState
from agents.simulators.uniview import UniviewQuirks, UniviewSimulator
from monitor.evaluation.judge import judge
from monitor.model.clock import ManualClock
from monitor.model.inventory import Camera, Institution, Inventory, Recorder, Zone
from monitor.model.ledger import fold
from monitor.model.observation import Kind, Observation, Subject
from monitor.model.span import DAY, to_millis
from monitor.model.verdict import Verdict
from support.packs import pack
from support.recorder_http import recorder_settings
from support.rounds import rounds_over

NOW = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
"""Noon at the institution."""
SLOW, FAST = 64_000.0, 128_000.0
HELD = 96
FAST_DAYS = 5
INVENTORY = Inventory(
    institution=Institution(id="wj-0001"),
    zones=(Zone(id="gate", room="entrance"),),
    recorders=(Recorder(id="nvr", driver="hikvision"),),
    cameras=(Camera(id="gate", zones=("gate",), recorder="nvr", channel="1"),),
)


def state_of(clock: ManualClock, *, rose: bool) -> RecorderState:
    """Return a full recorder whose camera has written twice as much a day for five whole days and this morning."""
    noon, day = NOW.timestamp(), 86_400.0
    midnight = noon - day / 2
    rates = {ago: FAST if rose and ago <= FAST_DAYS else SLOW for ago in range(HELD + 1)}
    segments = [
        Segment(
            midnight - ago * day + hour * 3600,
            min(noon, midnight - ago * day + (hour + 6) * 3600),
            bytes_per_second=rate,
        )
        for ago, rate in rates.items()
        for hour in (0, 6, 12, 18)
        if midnight - ago * day + hour * 3600 < noon
    ]
    written = sum((one.end - one.start) * one.bytes_per_second for one in segments)
    channel = Channel(
        1, "gate", Lens(1, now=lambda: clock.now().timestamp()), Footage(segments, lag_seconds=0), live=False
    )
    return RecorderState(
        [channel], disks=[Disk(1, capacity_mib=int(written / 2**20))], now=lambda: clock.now().timestamp(),
        quirks=Quirks(search_seconds=0),
    )  # fmt: skip


def simulator_of(make: str, state: RecorderState) -> HikvisionSimulator | DahuaSimulator | UniviewSimulator:
    if make == "dahua":
        return DahuaSimulator(state, DahuaQuirks(search_seconds=0))
    return UniviewSimulator(state, UniviewQuirks(search_seconds=0)) if make == "uniview" else HikvisionSimulator(state)


async def foretold(make: str, folder: Path, *, rose: bool, rates: dict[int, float] | None = None) -> Verdict:
    """Let the agent read the recorder over its sockets; return the verdict on retention. `rates`: bits/s by days ago."""
    clock = ManualClock(NOW)
    state = state_of(clock, rose=rose)
    seen: list[Observation] = []
    async with simulator_of(make, state) as simulator:
        settings = recorder_settings(
            folder, simulator.url, driver=make, clock=clock, username=state.username, password=state.password,
            timezone=ZoneInfo(state.timezone), options={}, rtsp_port=simulator.rtsp.port,
        )  # fmt: skip
        driver = DRIVERS[make](settings)
        scan = RecorderScan("nvr", driver, [Channelled("gate", "1")], clock, seen.append)
        try:
            with rounds_over(scan, clock, seen, folder, zone="Asia/Shanghai") as rounds:
                rounds._journal.append([measured(ago, rate) for ago, rate in (rates or {}).items()])
                await scan.look()
                assert await rounds.round(90)
        finally:
            await driver.close()
    facts = fold(seen, to_millis(NOW), inventory=INVENTORY)
    assert facts is not None
    return next(item for item in judge(facts, pack()) if item.requirement.kind == "retention")


def measured(ago: int, bits_per_second: float) -> Observation:
    at = to_millis(NOW) - ago * DAY
    return Observation(
        subject=Subject(kind="camera", id="gate"), kind=Kind.MAIN_STREAM, start=at, end=at, state="read",
        expires=at + 2 * DAY, facts={"bit_rate": bits_per_second},
    )  # fmt: skip


@pytest.mark.parametrize("make", ["hikvision", "dahua"])
async def test_a_rate_that_rose_is_foretold_before_the_days_fall_short(make: str, tmp_path: Path) -> None:
    found = await foretold(make, tmp_path, rose=True)
    assert (found.state, found.measured["breaks_because"]) == ("ok", "bit_rate_up")
    # It is full, and each day of the new rate pushes two old ones out: 96 are held, 90 required.
    assert found.measured["breaks_on"] in {(NOW + timedelta(days=days)).date().isoformat() for days in (6, 7)}
    assert "breaks_estimated" not in found.measured
    assert found.measured["breaks_between"] != [None, None]


async def test_a_steady_recorder_is_not_warned_of(tmp_path: Path) -> None:
    found = await foretold("hikvision", tmp_path, rose=False)
    assert (found.state, found.measured["breaks_on"]) == ("ok", None)


async def test_an_index_without_sizes_is_estimated_by_what_was_measured_of_the_stream(tmp_path: Path) -> None:
    for name in ("measured", "not"):
        (tmp_path / name).mkdir()
    rates = {ago: 8 * (FAST if ago <= FAST_DAYS else SLOW) for ago in range(1, HELD, 3)}
    found = await foretold("uniview", tmp_path / "measured", rose=True, rates=rates)
    assert (found.state, found.measured["breaks_because"]) == ("ok", "bit_rate_up")
    assert found.measured["breaks_estimated"] is True
    unmeasured = await foretold("uniview", tmp_path / "not", rose=True)
    assert (unmeasured.state, unmeasured.measured["breaks_on"]) == ("ok", None)
