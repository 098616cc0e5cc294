"""The Hikvision driver against the simulated recorder, over real sockets: an independent view of the same interface."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from agents.recorders.base import Recorder, RecorderError
from agents.recorders.registry import DRIVERS
from agents.simulators.camera import Camera, Fault
from agents.simulators.footage import Footage, Segment
from agents.simulators.hikvision import HikvisionSimulator
from agents.simulators.recorder import Channel, Disk, Quirks, RecorderState
from monitor.model.clock import ManualClock
from monitor.model.span import DAY, HOUR, MINUTE, Millis, Spans, to_millis
from support.recorder_http import NOW, recorder_settings

NOON = to_millis(NOW)


@asynccontextmanager
async def recorded(
    tmp_path: Path,
    footages: list[list[Segment]],
    *,
    clock: ManualClock | None = None,
    options: dict[str, Any] | None = None,
    **state: Any,
) -> AsyncIterator[tuple[HikvisionSimulator, Recorder]]:
    """Run a simulated recorder that holds these segments, and a driver that knows its password."""
    clock = clock or ManualClock(NOW)

    def now() -> float:
        return clock.now().timestamp()

    channels = [
        Channel(number, f"camera {number}", Camera(number, now=now), Footage(segments, lag_seconds=0), live=False)
        for number, segments in enumerate(footages, start=1)
    ]
    state = {"quirks": Quirks(search_seconds=0), **state}
    async with HikvisionSimulator(RecorderState(channels, now=now, **state)) as simulator:
        settings = recorder_settings(
            tmp_path,
            simulator.url,
            clock=clock,
            username=simulator.state.username,
            password="Cradle-2026",
            timezone=ZoneInfo(simulator.state.timezone),
            options=options or {},
            rtsp_port=simulator.rtsp.port,
        )
        driver = DRIVERS["hikvision"](settings)
        try:
            yield simulator, driver
        finally:
            await driver.close()


def whole_days(days: int, *, minutes: int = 60, until: Millis = NOON) -> list[Segment]:
    """Return back-to-back segments of `minutes` for the last `days`."""
    step = minutes * MINUTE
    return [Segment(at / 1000, (at + step) / 1000) for at in range(until - days * DAY, until, step)]


def spans_of(segments: list[Segment]) -> Spans:
    return Spans.of([(round(one.start * 1000), round(one.end * 1000)) for one in segments])


async def test_what_the_recorder_is_and_has(tmp_path: Path) -> None:
    disks = [Disk(1), Disk(2, status="smartFailed"), Disk(3, 0, status="notexist")]
    async with recorded(tmp_path, [[], []], disks=disks) as (simulator, driver):
        assert (await driver.identity()).model == "DS-7616NI-K2"
        assert [(one.id, one.name, one.online) for one in await driver.channels()] == [
            ("1", "camera 1", True),
            ("2", "camera 2", True),
        ]
        simulator.set_fault(2, Fault.DEAD)
        assert [one.online for one in await driver.channels()] == [True, False]
        assert [(one.state, one.capacity_bytes) for one in await driver.disks()] == [
            ("ok", 7_630_885 * 2**20),
            ("failed", 7_630_885 * 2**20),
        ]
        assert driver.stream_url("2", main=False) == simulator.rtsp_url(2)


@pytest.mark.parametrize("offset", [0, 3600, -2100, 0.4])
@pytest.mark.parametrize("timezone", ["Asia/Shanghai", "America/New_York", "Asia/Kolkata"])
async def test_the_clocks_offset_to_within_half_a_second(tmp_path: Path, offset: float, timezone: str) -> None:
    async with recorded(tmp_path, [[]], clock_offset_seconds=offset, timezone=timezone) as (_, driver):
        assert abs(await driver.clock_offset() - offset) <= 0.5


async def test_ninety_days_are_read_whole_in_few_searches(tmp_path: Path) -> None:
    segments = whole_days(95)
    async with recorded(tmp_path, [segments]) as (simulator, driver):
        told: list[float] = []
        footage = await driver.footage("1", NOON - 91 * DAY, NOON, told.append)
        assert footage.spans == Spans.window(NOON - 91 * DAY, NOON)
        assert footage.locked == Spans.empty()
        assert told == sorted(told)
        assert told[-1] == 1.0
        assert simulator.desk.stats()["searches"] <= 92
        assert simulator.desk.stats()["failed_wide_windows"] == 0
        assert simulator.desk.stats()["refused_pages"] == 0


async def test_the_last_hour_costs_one_search(tmp_path: Path) -> None:
    async with recorded(tmp_path, [whole_days(95)]) as (simulator, driver):
        for hour in range(5):
            end = NOON - hour * HOUR
            assert (await driver.footage("1", end - HOUR, end)).spans == Spans.window(end - HOUR, end)
        assert simulator.desk.searches == 5


async def test_thirty_five_days_and_nothing_before(tmp_path: Path) -> None:
    segments = whole_days(35)
    async with recorded(tmp_path, [segments]) as (simulator, driver):
        footage = await driver.footage("1", NOON - 91 * DAY, NOON)
        assert footage.spans == spans_of(segments)
        assert simulator.desk.searches <= 39
        assert await driver.earliest("1") == NOON - 35 * DAY


async def test_locked_clips_stand_apart(tmp_path: Path) -> None:
    old = Segment((NOON - 62 * DAY) / 1000, (NOON - 62 * DAY + 10 * MINUTE) / 1000, locked=True)
    held = whole_days(13)
    async with recorded(tmp_path, [[old, *held]]) as (_, driver):
        footage = await driver.footage("1", NOON - 91 * DAY, NOON)
        assert footage.spans == spans_of(held)
        assert footage.locked == spans_of([old])
        assert await driver.earliest("1") == NOON - 62 * DAY


async def test_a_camera_without_footage_has_none(tmp_path: Path) -> None:
    async with recorded(tmp_path, [[]]) as (_, driver):
        assert (await driver.footage("1", NOON - 91 * DAY, NOON)).spans == Spans.empty()
        assert await driver.earliest("1") is None


async def test_many_short_clips_are_paged(tmp_path: Path) -> None:
    clips = [Segment(at / 1000, (at + 20_000) / 1000) for at in range(NOON - 2 * DAY, NOON, 2 * MINUTE)]
    async with recorded(tmp_path, [clips]) as (simulator, driver):
        assert (await driver.footage("1", NOON - 2 * DAY, NOON)).spans == spans_of(clips)
        assert simulator.desk.stats()["restarted_pages"] == 0


async def test_a_day_over_the_cap_is_searched_in_parts(tmp_path: Path) -> None:
    clips = [Segment(at / 1000, (at + 5_000) / 1000) for at in range(NOON - DAY, NOON, 15_000)]
    async with recorded(tmp_path, [clips]) as (_, driver):
        assert (await driver.footage("1", NOON - DAY, NOON)).spans == spans_of(clips)


@pytest.mark.parametrize("wide", ["fails", "flaky", "works"])
async def test_the_earliest_is_found_with_or_without_wide_windows(tmp_path: Path, wide: Any) -> None:
    async with recorded(tmp_path, [whole_days(70)], quirks=Quirks(wide_window=wide, search_seconds=0)) as (_, driver):
        assert await driver.earliest("1") == NOON - 70 * DAY


async def test_searches_of_many_channels_never_run_at_once(tmp_path: Path) -> None:
    async with recorded(tmp_path, [whole_days(3) for _ in range(6)]) as (simulator, driver):
        found = await asyncio.gather(*(driver.footage(str(one), NOON - 3 * DAY, NOON) for one in range(1, 7)))
        assert {footage.spans.total() for footage in found} == {3 * DAY}
        assert simulator.desk.stats()["concurrent_searches"] == 0


Change = Callable[[HikvisionSimulator], Awaitable[None] | None]


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (lambda one: one.die(), {"refused", "no_connection"}),
        (lambda one: one.change_password("another"), {"unauthorized"}),
        (lambda one: setattr(one.state.quirks, "forbidden_paths", ("/ISAPI/ContentMgmt/search",)), {"not_permitted"}),
    ],
)
async def test_what_goes_wrong_in_the_middle_is_an_error_and_never_a_part(
    tmp_path: Path, change: Change, cause: set[str]
) -> None:
    async with recorded(tmp_path, [whole_days(20)]) as (simulator, driver):
        loop = asyncio.get_running_loop()
        pending: list[Any] = []

        def at_half(share: float) -> None:
            if share >= 0.5 and not pending:
                done = change(simulator)
                pending.append(loop.create_task(done) if asyncio.iscoroutine(done) else None)

        with pytest.raises(RecorderError) as error:
            await driver.footage("1", NOON - 20 * DAY, NOON, at_half)
        assert error.value.cause in cause
        assert simulator.account.failed_logins <= 2


async def test_a_missing_right_names_the_makers_menu(tmp_path: Path) -> None:
    quirks = Quirks(forbidden_paths=("/ISAPI/ContentMgmt/search",))
    async with recorded(tmp_path, [[]], quirks=quirks) as (simulator, driver):
        with pytest.raises(RecorderError, match="'Remote: Playback'") as error:
            await driver.footage("1", NOON - HOUR, NOON)
        assert error.value.asked.startswith("POST /ISAPI/ContentMgmt/search")
        assert (await driver.identity()).model == simulator.state.model


async def test_ten_restarts_with_a_wrong_password_cost_one_failed_login(tmp_path: Path) -> None:
    async with recorded(tmp_path, [[]]) as (simulator, _):
        settings = recorder_settings(tmp_path, simulator.url, password="wrong", clock=ManualClock(NOW))
        for _ in range(10):
            driver = DRIVERS["hikvision"](settings)
            calls = [driver.footage(str(one), NOON - HOUR, NOON) for one in range(1, 17)]
            results = await asyncio.gather(*calls, return_exceptions=True)
            assert {one.cause for one in results if isinstance(one, RecorderError)} <= {
                "unauthorized",
                "credentials_held",
            }
            await driver.close()
        assert simulator.account.failed_logins == 1


SWITCHES = {
    "Europe/Berlin": [datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC)],
    "America/New_York": [datetime(2026, 3, 8, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)],
    "Australia/Sydney": [datetime(2026, 4, 4, tzinfo=UTC), datetime(2026, 10, 3, tzinfo=UTC)],
}


@pytest.mark.parametrize(("timezone", "switch"), [(name, day) for name, days in SWITCHES.items() for day in days])
@pytest.mark.parametrize("minutes", [10, 40, 60])
async def test_summer_time_leaves_neither_hole_nor_overlap(
    tmp_path: Path, timezone: str, switch: datetime, minutes: int
) -> None:
    """The recorder counts in local time; one of the year's two switches lies inside the window."""
    clock = ManualClock(switch + timedelta(days=2))
    now = to_millis(clock.now())
    segments = whole_days(4, minutes=minutes, until=now)
    async with recorded(tmp_path, [segments], clock=clock, timezone=timezone) as (_, driver):
        assert (await driver.footage("1", now - 4 * DAY, now)).spans == Spans.window(now - 4 * DAY, now)


@pytest.mark.parametrize("seed", range(8))
async def test_any_index_is_read_as_it_is(tmp_path: Path, seed: int) -> None:
    """Random gaps, overlaps and locked clips, in random zones, read over the wire: every span equal."""
    chance = random.Random(seed)
    segments, at = [], NOON - 40 * DAY
    while at < NOON - HOUR:
        length = chance.choice([MINUTE, 10 * MINUTE, HOUR, 3 * HOUR])
        if chance.random() < 0.93:
            segments.append(Segment(at / 1000, min(NOON, at + length) / 1000, locked=chance.random() < 0.05))
        at += length + chance.choice([0, 0, 0, 1000, -5000, MINUTE, 2 * DAY if chance.random() < 0.02 else 0])
    timezone = chance.choice(["Asia/Shanghai", "Asia/Kolkata", "America/Phoenix"])
    async with recorded(tmp_path, [segments], timezone=timezone, seed=seed) as (
        _,
        driver,
    ):
        footage = await driver.footage("1", NOON - 40 * DAY, NOON)
    assert footage.spans == spans_of([one for one in segments if not one.locked])
    assert footage.locked == spans_of([one for one in segments if one.locked])
    assert footage.spans.pairs.dtype == np.int64
