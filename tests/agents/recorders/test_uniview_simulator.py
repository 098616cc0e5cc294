"""The Uniview driver against the simulated recorder, over real sockets: an independent view of the same interface."""

import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from agents.recorders.base import NotOffered, RecorderError, StreamPlayback, TimeSync
from agents.recorders.uniview import Uniview
from agents.simulators.camera import Camera, Fault
from agents.simulators.footage import Footage, Segment
from agents.simulators.recorder import Channel, Disk, RecorderState
from agents.simulators.uniview import UniviewQuirks, UniviewSimulator
from monitor.model.clock import ManualClock
from monitor.model.span import DAY, HOUR, MINUTE, Millis, Spans, to_millis
from support.recorder_http import NOW, Asked, Door, Reply, behind, recorder_settings, serving

NOON = to_millis(NOW)
FIXTURES = Path(__file__).parents[2] / "fixtures" / "recorders" / "uniview"


@asynccontextmanager
async def recorded(
    tmp_path: Path,
    footages: list[list[Segment]],
    quirks: UniviewQuirks | None = None,
    options: dict[str, Any] | None = None,
    password: str = "Cradle-2026",
    **state: Any,
) -> AsyncIterator[tuple[UniviewSimulator, Uniview]]:
    """Run a simulated recorder that holds these segments, and a driver."""
    clock = ManualClock(NOW)

    def now() -> float:
        return clock.now().timestamp()

    channels = [
        Channel(number, f"camera {number}", Camera(number, now=now), Footage(segments, lag_seconds=0), live=False)
        for number, segments in enumerate(footages, start=1)
    ]
    quirks = quirks or UniviewQuirks(search_seconds=0)
    async with UniviewSimulator(RecorderState(channels, now=now, model="NVR302-16S2", **state), quirks) as simulator:
        settings = recorder_settings(
            tmp_path,
            simulator.url,
            driver="uniview",
            clock=clock,
            username=simulator.state.username,
            password=password,
            timezone=ZoneInfo(simulator.state.timezone),
            options=options or {},
            rtsp_port=simulator.rtsp.port,
        )
        driver = Uniview(settings)
        try:
            yield simulator, driver
        finally:
            await driver.close()


def whole_days(days: int, *, minutes: int = 60, until: Millis = NOON) -> list[Segment]:
    step = minutes * MINUTE
    return [Segment(at / 1000, (at + step) / 1000) for at in range(until - days * DAY, until, step)]


def spans_of(segments: list[Segment]) -> Spans:
    return Spans.of([(round(one.start * 1000), round(one.end * 1000)) for one in segments])


async def test_what_the_recorder_is_and_has(tmp_path: Path) -> None:
    disks = [Disk(1), Disk(2, status="smartFailed"), Disk(3, 0, status="notexist")]
    async with recorded(tmp_path, [[], []], disks=disks) as (simulator, driver):
        assert (await driver.identity()).model == "NVR302-16S2"
        assert [(one.id, one.name, one.online) for one in await driver.channels()] == [
            ("1", "camera 1", True),
            ("2", "camera 2", True),
        ]
        simulator.set_fault(2, Fault.DEAD)
        channels = await driver.channels()
        assert [one.online for one in channels] == [True, False]
        assert [one.behind.identity if one.behind else "" for one in channels] == [
            "210235C3EC0000000001",
            "210235C3EC0000000002",
        ]
        assert [one.state for one in await driver.disks()] == ["ok", "failed"]
        assert {key: mode.name for key, mode in (await driver.recording_modes()).items()} == {
            "1": "continuous",
            "2": "continuous",
        }
        assert await driver.time_sync() == TimeSync(enabled=True, has_server=True)
        assert driver.stream_url("2", main=False) == simulator.rtsp_url(2)
        assert driver.stream_url("2", main=True) == simulator.rtsp_url(2, "main")


async def test_playback_is_on_the_recorders_own_host(tmp_path: Path) -> None:
    async with recorded(tmp_path, [[]]) as (simulator, driver):
        found = await driver.playback("1", NOON + 500, 10)
        assert found == StreamPlayback(
            f"rtsp://127.0.0.1:{simulator.rtsp.port}/c1/b{NOON // 1000}/e{NOON // 1000 + 11}/replay/"
        )


async def test_what_the_maker_does_not_tell_is_not_offered(tmp_path: Path) -> None:
    async with recorded(tmp_path, [[]]) as (_, driver):
        for question in (driver.expiry_days(), driver.alarm_inputs()):
            with pytest.raises(NotOffered):
                await question


@pytest.mark.parametrize("path", ["System/TimeNTP", "System/Time"])
@pytest.mark.parametrize("offset", [0, 3600, -2100, 0.4])
async def test_the_clocks_offset_to_within_half_a_second(tmp_path: Path, offset: float, path: str) -> None:
    quirks = UniviewQuirks(time_path=path, search_seconds=0)
    async with recorded(tmp_path, [[]], quirks, clock_offset_seconds=offset, timezone="America/New_York") as (
        _,
        driver,
    ):
        for _ in range(2):
            assert abs(await driver.clock_offset() - offset) <= 0.5


@pytest.mark.parametrize(("counting", "days"), [("page", 91), ("all", 10), ("total", 10), ("none", 10)])
async def test_many_days_are_read_whole_whatever_the_count_means(tmp_path: Path, counting: Any, days: int) -> None:
    quirks = UniviewQuirks(counting=counting, search_seconds=0, page_cap=10)
    async with recorded(tmp_path, [whole_days(days + 4, minutes=180)], quirks) as (simulator, driver):
        told: list[float] = []
        footage = await driver.footage("1", NOON - days * DAY, NOON, told.append)
        assert footage.spans == Spans.window(NOON - days * DAY, NOON)
        assert footage.locked == Spans.empty()
        assert told == sorted(told)
        assert told[-1] == 1.0
        assert simulator.stats()["searches"] <= 2 * (days + 1)
        assert simulator.stats()["failed_wide_windows"] == 0


@pytest.mark.parametrize(("counting", "most"), [("page", 2), ("total", 1)])
async def test_the_last_hour_costs_two_searches_at_most(tmp_path: Path, counting: Any, most: int) -> None:
    async with recorded(tmp_path, [whole_days(95)], UniviewQuirks(counting=counting, search_seconds=0)) as (
        simulator,
        driver,
    ):
        assert (await driver.footage("1", NOON - HOUR, NOON)).spans == Spans.window(NOON - HOUR, NOON)
        assert simulator.searches == most


@pytest.mark.parametrize("calendar", [True, False])
async def test_thirty_five_days_and_nothing_before(tmp_path: Path, calendar: bool) -> None:
    segments = whole_days(35, minutes=360)
    quirks = UniviewQuirks(calendar=calendar, search_seconds=0)
    async with recorded(tmp_path, [segments, []], quirks, timezone="America/Los_Angeles") as (simulator, driver):
        footage = await driver.footage("1", NOON - 91 * DAY, NOON)
        assert footage.spans == spans_of(segments)
        assert simulator.searches <= (2 * 42 if calendar else 2 * 93)
        assert await driver.earliest("1") == NOON - 35 * DAY
        assert await driver.latest("1") == NOON
        assert (await driver.footage("2", NOON - 91 * DAY, NOON)).spans == Spans.empty()
        assert await driver.earliest("2") is None
        assert await driver.latest("2") is None
        assert calendar or simulator.requests["DailyDistribution"] == 1, (
            "what a unit lacks is not asked for again and again"
        )


async def test_locked_clips_stand_apart(tmp_path: Path) -> None:
    old = Segment((NOON - 62 * DAY) / 1000, (NOON - 62 * DAY + 10 * MINUTE) / 1000, locked=True)
    held = whole_days(13)
    async with recorded(tmp_path, [[old, *held]]) as (_, driver):
        footage = await driver.footage("1", NOON - 91 * DAY, NOON)
        assert footage.spans == spans_of(held)
        assert footage.locked == spans_of([old])
        assert await driver.earliest("1") == NOON - 62 * DAY


async def test_firmware_without_pages_is_believed_when_its_halves_agree(tmp_path: Path) -> None:
    quirks = UniviewQuirks(ignores_limit=True, search_seconds=0)
    async with recorded(tmp_path, [whole_days(3, minutes=5)], quirks, options={"page_size": 20}) as (_, driver):
        assert (await driver.footage("1", NOON - 2 * DAY, NOON)).spans == Spans.window(NOON - 2 * DAY, NOON)


async def test_firmware_that_cuts_its_only_page_is_unknown_and_no_gap(tmp_path: Path) -> None:
    quirks = UniviewQuirks(ignores_offset=True, page_cap=20, search_seconds=0)
    async with recorded(tmp_path, [whole_days(3, minutes=5)], quirks) as (_, driver):
        with pytest.raises(RecorderError, match="repeats the same page") as error:
            await driver.footage("1", NOON - 2 * DAY, NOON)
        assert error.value.cause == "recorder"


@pytest.mark.parametrize("minutes", [60, 7])
async def test_pages_that_list_fewer_records_than_they_count_are_never_taken_for_the_whole(
    tmp_path: Path, minutes: int
) -> None:
    """Half of each page is lost, and its own count stays: that count must not pass for the count of all there are."""
    held = whole_days(12, minutes=minutes)
    async with recorded(tmp_path, [held]) as (simulator, driver):
        handler = simulator.web.handler

        async def halved(request: Any) -> Any:
            reply = await handler(request)
            if "Records?" not in request.target:
                return reply
            said = json.loads(reply.body)
            rows = said["Response"]["Data"]["RecordInfos"]
            del rows[(len(rows) + 1) // 2 :]
            return replace(reply, body=json.dumps(said).encode())

        simulator.web.handler = halved
        with suppress(RecorderError):
            assert (await driver.footage("1", NOON - 10 * DAY, NOON)).spans == Spans.window(NOON - 10 * DAY, NOON)


async def test_a_missing_right_names_the_menu(tmp_path: Path) -> None:
    quirks = UniviewQuirks(forbidden_paths=("Channels/1/Media", "Storage"), search_seconds=0)
    async with recorded(tmp_path, [[]], quirks) as (simulator, driver):
        for question in (driver.footage("1", NOON - DAY, NOON), driver.earliest("1"), driver.disks()):
            with pytest.raises(RecorderError, match="System > User") as error:
                await question
            assert error.value.cause == "not_permitted"
            assert error.value.asked.startswith("GET /LAPI/V1.0/")
        assert simulator.account.failed_logins == 0


async def test_older_firmware_lacks_what_it_lacks(tmp_path: Path) -> None:
    quirks = UniviewQuirks(camera_infos=False, absent_status=404, search_seconds=0)
    async with recorded(tmp_path, [[]], quirks) as (_, driver):
        assert [one.behind.identity if one.behind else "" for one in await driver.channels()] == ["48:ea:63:00:00:01"]


@pytest.mark.parametrize("channel", ["", "gate", "0", "-1", "1/../2", "٣", "99999"])
async def test_a_channel_that_is_no_number_is_never_asked_for(tmp_path: Path, channel: str) -> None:
    async with recorded(tmp_path, [[]]) as (simulator, driver):
        for question in (driver.footage(channel, 0, 1), driver.earliest(channel), driver.playback(channel, NOON, 10)):
            with pytest.raises(RecorderError, match="set `channel`"):
                await question
        assert driver.stream_url(channel, main=True) is None
        assert simulator.requests.total() == 0


@pytest.mark.parametrize("seed", range(3))
async def test_any_index_is_read_as_it_is(tmp_path: Path, seed: int) -> None:
    """Random gaps, overlaps, locked clips and firmware, in random zones, read over the wire: every span equal."""
    chance = random.Random(seed)
    segments, at = [], NOON - 20 * DAY
    while at < NOON - HOUR:
        length = chance.choice([MINUTE, 10 * MINUTE, HOUR, 3 * HOUR])
        if chance.random() < 0.93:
            segments.append(Segment(at / 1000, min(NOON, at + length) / 1000, locked=chance.random() < 0.05))
        at += length + chance.choice([0, 0, 0, 1000, -5000, MINUTE, 2 * DAY if chance.random() < 0.02 else 0])
    quirks = UniviewQuirks(
        counting=chance.choice(["page", "all", "total", "none"]),
        calendar=chance.random() < 0.7,
        page_cap=chance.choice([7, 40, 200]),
        search_seconds=0,
    )
    timezone = chance.choice(["Asia/Shanghai", "Asia/Kolkata", "America/Phoenix"])
    async with recorded(tmp_path, [segments], quirks, timezone=timezone, seed=seed) as (_, driver):
        footage = await driver.footage("1", NOON - 20 * DAY, NOON)
    assert footage.spans == spans_of([one for one in segments if not one.locked])
    assert footage.locked == spans_of([one for one in segments if one.locked])


async def test_a_path_that_is_answered_by_half_a_body_is_one_that_the_unit_lacks(tmp_path: Path) -> None:
    """So some firmware refuses: the next best is asked, and the login is not held for it."""
    half = Reply(raw=b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n<html>")
    bodies = {
        "DeviceInfo": "device_info.json", "ChannelDetailInfos": "channel_details.json", "Time": "time_ntp.json",
        "Records": "records_none.json",
    }  # fmt: skip

    def answer(asked: Asked) -> Reply:
        name = bodies.get(asked.target.partition("?")[0].rpartition("/")[2])
        return half if name is None else Reply(200, (FIXTURES / name).read_bytes())

    async with serving(behind(Door(), answer)) as server:
        driver = Uniview(recorder_settings(tmp_path, server.url, driver="uniview", clock=ManualClock(NOW)))
        for _ in range(3):
            assert len(await driver.channels()) == 4
            assert abs(await driver.clock_offset() - 30.5) <= 0.5
            assert (await driver.footage("1", NOON - 5 * DAY, NOON)).spans == Spans.empty()
        with pytest.raises(RecorderError) as error:
            await driver.disks()
        assert error.value.cause == "recorder"
        await driver.close()
