"""The Dahua driver against a simulated recorder with each of its firmware's habits, and its manners."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from agents.recorders.base import NotOffered, RecorderError, RecordingMode, StreamPlayback
from agents.recorders.dahua import Dahua
from agents.simulators.camera import Camera, Fault
from agents.simulators.dahua import DahuaQuirks, DahuaSimulator
from agents.simulators.footage import Footage, Segment
from agents.simulators.recorder import Channel, RecorderState
from monitor.model.clock import ManualClock
from monitor.model.span import DAY, HOUR, MINUTE, Millis, Spans, to_millis
from support.recorder_http import NOW, Asked, Door, Reply, behind, recorder_settings, serving
from support.recorder_rigs import RIGS as ALL
from support.recorder_rigs import assert_manners, driver_of, running

RIG = next(rig for rig in ALL if rig.driver == "dahua")
NOON = to_millis(NOW)


def clips(count: int, length: Millis = HOUR, until: Millis = NOON) -> list[Segment]:
    return [Segment((until - (n + 1) * length) / 1000, (until - n * length) / 1000) for n in range(count)]


def state(*channels: list[Segment], clock: ManualClock | None = None, **changes: Any) -> RecorderState:
    inputs = [
        Channel(n, f"camera {n}", Camera(n), Footage(files, lag_seconds=0), live=False)
        for n, files in enumerate(channels or (clips(48),), 1)
    ]
    now = (clock or ManualClock(NOW)).now
    return RecorderState(inputs, now=lambda: now().timestamp(), **changes)


QUIRKS = [
    {"page_cap": 20},
    {"page_cap": 20, "end_of_list": "400"},
    {"nothing_found": "found=0"},
    {"zone_tables": False, "unknown_name": "400"},
    {"zone_tables": False},
]


@pytest.mark.parametrize("quirks", QUIRKS, ids=str)
async def test_no_habit_of_the_firmware_changes_what_is_read(quirks: dict[str, Any], tmp_path: Path) -> None:
    async with running(RIG, state(clips(60), []), tmp_path, ManualClock(NOW)) as (simulator, driver):
        simulator.quirks.__dict__.update(quirks)
        assert (await driver.footage("1", NOON - 5 * DAY, NOON)).spans == Spans.window(NOON - 60 * HOUR, NOON)
        assert (await driver.footage("2", NOON - 5 * DAY, NOON)).spans == Spans.empty()
        assert (await driver.earliest("1"), await driver.earliest("2")) == (NOON - 60 * HOUR, None)


async def test_a_quarter_of_a_year_costs_few_searches_and_an_hour_one(tmp_path: Path) -> None:
    async with running(RIG, state(clips(95 * 24)), tmp_path, ManualClock(NOW)) as (simulator, driver):
        assert (await driver.footage("1", NOON - 91 * DAY, NOON)).spans == Spans.window(NOON - 91 * DAY, NOON)
        assert simulator.stats()["searches"] <= 6
        before = simulator.stats()["searches"]
        await driver.footage("1", NOON - HOUR, NOON)
        assert simulator.stats()["searches"] == before + 1
        asked = dict(simulator.requests)
        await driver.footage("1", NOON - HOUR, NOON)
        new = {name: count - asked[name] for name, count in simulator.requests.items() if name != "401_challenge"}
        assert {name for name, count in new.items() if count} == {
            "factory.create",
            "findFile",
            "findNextFile",
            "close",
            "destroy",
        }
        assert sum(new.values()) == 5


async def test_a_window_that_fails_is_searched_once_more_in_halves(tmp_path: Path) -> None:
    async with running(RIG, state(clips(40 * 24)), tmp_path, ManualClock(NOW)) as (simulator, driver):
        simulator.quirks.wide_window_days = 20
        assert (await driver.footage("1", NOON - 39 * DAY, NOON)).spans == Spans.window(NOON - 39 * DAY, NOON)
        simulator.quirks.wide_window_days = 5
        with pytest.raises(RecorderError, match="HTTP 500"):
            await driver.footage("1", NOON - 39 * DAY, NOON)


async def test_the_oldest_footage_is_found_without_wide_windows(tmp_path: Path) -> None:
    async with running(RIG, state(clips(70 * 24), []), tmp_path, ManualClock(NOW)) as (simulator, driver):
        simulator.quirks.wide_window_days = 31
        assert (await driver.earliest("1"), await driver.earliest("2")) == (NOON - 70 * DAY, None)


async def test_handles_that_run_out_are_a_full_recorder(tmp_path: Path) -> None:
    async with running(RIG, state(), tmp_path, ManualClock(NOW)) as (simulator, driver):
        simulator.quirks.max_finders = 0
        with pytest.raises(RecorderError, match="gives no search handle") as error:
            await driver.footage("1", NOON - HOUR, NOON)
        assert error.value.cause == "recorder_full"
        simulator.quirks.max_finders = 1
        assert (await driver.footage("1", NOON - HOUR, NOON)).spans.total() == HOUR


async def test_a_handle_that_a_killed_process_left_open_is_the_recorders_to_take_back(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    async with running(RIG, state(clock=clock), tmp_path, clock) as (simulator, driver):
        simulator.quirks.max_finders = 1
        simulator.finders.create()
        simulator.lose_client()
        with pytest.raises(RecorderError, match="others may hold them all; it is asked again later"):
            await driver.footage("1", NOON - HOUR, NOON)
        clock.advance(simulator.quirks.finder_seconds + 1)
        assert (await driver.footage("1", NOON - HOUR, NOON)).spans.total() == HOUR
        assert simulator.stats()["abandoned_finders"] == 0


async def test_channels_without_their_state_are_known_by_their_lost_picture_alone(tmp_path: Path) -> None:
    async with running(RIG, state(clips(1), clips(1)), tmp_path, ManualClock(NOW)) as (simulator, driver):
        simulator.quirks.camera_state = False
        simulator.set_fault(2, Fault.DEAD)
        assert [one.online for one in await driver.channels()] == [None, False]
        simulator.set_fault(2, Fault.NONE)
        assert [one.online for one in await driver.channels()] == [None, None]


async def test_without_the_table_of_devices_all_names_are_channels(tmp_path: Path) -> None:
    async with running(RIG, state(), tmp_path, ManualClock(NOW)) as (simulator, driver):
        simulator.quirks.remote_devices, simulator.quirks.unknown_name = False, "400"
        assert len(await driver.channels()) == simulator.quirks.slots


async def test_without_it_an_analog_recorder_lists_its_inputs_and_any_other_lacks_a_right(tmp_path: Path) -> None:
    async with running(RIG, state(model="DH-XVR5108HS"), tmp_path, ManualClock(NOW)) as (simulator, driver):
        simulator.quirks.remote_devices, simulator.quirks.slots = False, 8
        assert len(await driver.channels()) == 8
    async with running(RIG, state(model="DH-NVR4216"), tmp_path, ManualClock(NOW)) as (simulator, driver):
        simulator.quirks.remote_devices, simulator.quirks.slots = False, 8
        with pytest.raises(RecorderError, match="give it the right"):
            await driver.channels()


async def test_a_table_that_is_refused_may_be_a_right_or_a_name(tmp_path: Path) -> None:
    async with running(RIG, state(), tmp_path, ManualClock(NOW)) as (simulator, driver):
        simulator.quirks.forbidden = ("configManager.cgi?action=getConfig&name=StorageGlobal",)
        await driver.identity()
        with pytest.raises(RecorderError, match=r"System > Account.*older firmware may lack it") as error:
            await driver.expiry_days()
        assert error.value.cause == "not_permitted"
        simulator.quirks.forbidden, simulator.quirks.unknown_name = (), "400"
        with pytest.raises(NotOffered):
            await driver.alarm_inputs()


async def test_how_long_files_are_kept_is_told_for_each_channel(tmp_path: Path) -> None:
    async with running(RIG, state(), tmp_path, ManualClock(NOW)) as (simulator, driver):
        simulator.quirks.hold_days = 30
        assert (await driver.expiry_days())["1"] == 30


async def test_a_channel_on_motion_only_says_so(tmp_path: Path) -> None:
    recorder = state()
    recorder.channels[0].mode = "MOTION"
    async with running(RIG, recorder, tmp_path, ManualClock(NOW)) as (_, driver):
        assert await driver.recording_modes() == {"1": RecordingMode("motion")}


async def test_a_locked_user_is_named_and_not_tried_again(tmp_path: Path) -> None:
    recorder = state(lock_after=1)
    async with DahuaSimulator(recorder, DahuaQuirks(search_seconds=0)) as simulator:
        (tmp_path / "other").mkdir()
        people = driver_of(RIG, simulator, tmp_path / "other", ManualClock(NOW), password="typo")
        with pytest.raises(RecorderError):
            await people.identity()
        await people.close()
        driver = driver_of(RIG, simulator, tmp_path, ManualClock(NOW))
        with pytest.raises(RecorderError, match=r"has locked user compliance for 1(800|79\d) s") as error:
            await driver.identity()
        assert error.value.cause == "unauthorized"
        with pytest.raises(RecorderError) as error:
            await driver.identity()
        assert error.value.cause == "credentials_held"
        assert simulator.account.attempts_while_locked == 1
        await driver.close()


@pytest.mark.parametrize("timezone", ["Europe/Berlin", "America/New_York", "Australia/Sydney"])
@pytest.mark.parametrize("month", [3, 4, 10, 11])
async def test_summer_time_leaves_neither_hole_nor_overlap(timezone: str, month: int, tmp_path: Path) -> None:
    """The recorder counts in local time by its own rule; each month holds a switch of some of these zones."""
    clock = ManualClock(datetime(2026, month, 1, tzinfo=UTC) + timedelta(days=32))
    now = to_millis(clock.now())
    recorder = state(clips(34 * 24 * 2, 30 * MINUTE, now), clock=clock, timezone=timezone)
    async with running(RIG, recorder, tmp_path, clock, timezone=ZoneInfo("Asia/Shanghai")) as (_, driver):
        assert (await driver.footage("1", now - 33 * DAY, now)).spans == Spans.window(now - 33 * DAY, now)
        assert abs(await driver.clock_offset()) <= 0.5


async def test_a_given_up_search_gives_its_handle_back_at_every_step(tmp_path: Path) -> None:
    async with running(RIG, state(clips(48)), tmp_path, ManualClock(NOW)) as (simulator, driver):
        assert isinstance(driver, Dahua)
        await driver.clock_offset()
        for step in range(9):
            simulator.quirks.search_seconds = 0.01
            work = asyncio.create_task(driver.footage("1", NOON - DAY, NOON))
            while simulator.finders._running == 0 and not work.done():  # noqa: ASYNC110  (it tells nobody)
                await asyncio.sleep(0)
            for _ in range(step):
                await asyncio.sleep(0.005)
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
            await driver._search.close()
            assert simulator.stats()["open_finders"] == 0
        assert_manners(simulator.stats())


async def test_a_finder_that_the_recorder_lost_has_found_nothing_for_certain(tmp_path: Path) -> None:
    """An unknown handle is answered as a search without a match: it must not become an empty index."""

    def handle(asked: Asked) -> Reply:
        if "factory.create" in asked.target:
            return Reply(200, b"result=77\r\n")
        return (
            Reply(200, b"result=2026-11-23 12:00:00\r\n")
            if "getCurrentTime" in asked.target
            else Reply(400, b"Error\r\n")
        )

    async with serving(behind(Door(), handle)) as server:
        driver = Dahua(recorder_settings(tmp_path, server.url, driver="dahua", clock=ManualClock(NOW)))
        with pytest.raises(RecorderError, match="lost its own search handle"):
            await driver.footage("1", NOON - HOUR, NOON)
        await driver.close()


async def test_only_reading_requests_are_ever_sent(tmp_path: Path) -> None:
    async with serving(behind(Door(), lambda _: Reply(200, b"OK\r\n"))) as server:
        driver = Dahua(recorder_settings(tmp_path, server.url, driver="dahua", clock=ManualClock(NOW)))
        questions = (
            driver.identity, driver.channels, driver.disks, driver.clock_offset, driver.time_sync,
            driver.recording_modes, driver.expiry_days, driver.alarm_inputs,
        )  # fmt: skip
        await asyncio.gather(*(question() for question in questions), driver.earliest("1"), return_exceptions=True)
        await driver.close()
    actions = {found[1] for one in server.asked if (found := re.search(r"action=(\w+)", one.target))}
    assert actions <= {
        "getSystemInfo",
        "getSoftwareVersion",
        "getConfig",
        "getCurrentTime",
        "getDeviceAllInfo",
        "getInState",
        "factory",
    }
    assert {one.method for one in server.asked} <= {"GET", "POST"}


@pytest.mark.parametrize("channel", ["", "gate", "0", "-1", "٣", "99999"])
async def test_a_channel_that_is_no_number_is_never_asked_for(tmp_path: Path, channel: str) -> None:
    driver = Dahua(recorder_settings(tmp_path, "http://192.0.2.10", driver="dahua"))
    with pytest.raises(RecorderError, match="set `channel`"):
        await driver.footage(channel, NOON - HOUR, NOON)
    assert driver.stream_url(channel, main=True) is None


async def test_an_instant_is_played_in_the_recorders_wall_time(tmp_path: Path) -> None:
    async with running(RIG, state(), tmp_path, ManualClock(NOW)) as (simulator, driver):
        request = await driver.playback("1", NOON - HOUR, 10)
        assert isinstance(request, StreamPlayback)
        where = "channel=1&subtype=0&starttime=2026_11_23_11_00_00&endtime=2026_11_23_11_00_10"
        assert request.url == f"rtsp://{simulator.rtsp.address}/cam/playback?{where}"


async def test_a_clock_that_jumped_has_its_menu_read_at_once(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    async with running(RIG, state(clock=clock), tmp_path, clock) as (simulator, driver):
        asked = simulator.requests

        async def offset() -> tuple[int, int]:
            """Return the offset, and how often it cost a look into the menu."""
            before = asked["getConfig"]
            clock.advance(3600.0)
            return round(await driver.clock_offset()), asked["getConfig"] - before

        assert [await offset() for _ in range(3)] == [(0, 2), (0, 0), (0, 0)]
        simulator.state.clock_offset_seconds = 5400.0
        assert [await offset() for _ in range(3)] == [(5400, 2), (5400, 0), (5400, 0)]
