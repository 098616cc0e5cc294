"""The simulated recorder, asked over HTTP by an independent client: every reply and every trap."""

import asyncio
import itertools
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree as ET
from zoneinfo import ZoneInfo

import httpx2
import pytest

from agents.simulators.camera import Camera, Fault
from agents.simulators.footage import Cutting, Footage, Segment, continuous, midnight_days_ago, motion_clips
from agents.simulators.hikvision import HikvisionSimulator
from agents.simulators.recorder import Channel, Disk, Quirks, RecorderState
from agents.simulators.zones import hikvision_zone

NOON = datetime(2026, 11, 23, 4, 0, tzinfo=UTC).timestamp()  # noon in Shanghai
HOUR, DAY = 3600.0, 86_400.0


Record = Callable[..., Awaitable[HikvisionSimulator]]


class Time:
    """A wall clock that tests turn."""

    def __init__(self) -> None:
        self.at = NOON

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def now() -> Time:
    return Time()


@pytest.fixture
async def record(now: Time) -> AsyncIterator[Record]:
    running: list[HikvisionSimulator] = []

    async def make(*footage: Footage, **settings: Any) -> HikvisionSimulator:
        channels = [
            Channel(number, f"ch {number}", Camera(number, now=now), one)
            for number, one in enumerate(footage or (Footage(),), start=1)
        ]
        simulator = HikvisionSimulator(RecorderState(channels, now=now, **settings))
        await simulator.start()
        running.append(simulator)
        return simulator

    yield make
    for simulator in running:
        await simulator.close()


def client(simulator: HikvisionSimulator, password: str = "Cradle-2026") -> httpx2.AsyncClient:
    return httpx2.AsyncClient(base_url=simulator.url, auth=httpx2.DigestAuth("compliance", password), trust_env=False)


def bare(body: bytes) -> ET.Element:
    return ET.fromstring(re.sub(rb' xmlns="[^"]*"', b"", body))


async def get(simulator: HikvisionSimulator, path: str) -> ET.Element:
    async with client(simulator) as http:
        response = await http.get(f"/ISAPI/{path}")
    assert response.status_code == 200
    return bare(response.content)


def description(start: str, end: str, **fields: object) -> str:
    given = {"searchID": "A1", "trackID": 101, "maxResults": 50, "searchResultPostion": 0, **fields}
    track = f"<trackList><trackID>{given.pop('trackID')}</trackID></trackList>"
    span = f"<timeSpanList><timeSpan><startTime>{start}</startTime><endTime>{end}</endTime></timeSpan></timeSpanList>"
    rest = "".join(f"<{name}>{value}</{name}>" for name, value in given.items())
    return f'<CMSearchDescription version="1.0">{track}{span}{rest}</CMSearchDescription>'


async def search(http: httpx2.AsyncClient, start: str, end: str, **fields: object) -> httpx2.Response:
    return await http.post("/ISAPI/ContentMgmt/search", content=description(start, end, **fields))


def spans(response: httpx2.Response) -> list[tuple[str, str]]:
    assert response.status_code == 200
    return [
        (item.findtext("timeSpan/startTime") or "", item.findtext("timeSpan/endTime") or "")
        for item in bare(response.content).iter("searchMatchItem")
    ]


def status_of(response: httpx2.Response) -> str | None:
    return bare(response.content).findtext("responseStatusStrg")


def history(days: int, **settings: Any) -> Footage:
    return Footage(continuous(NOON - days * DAY, NOON, seed=1, **settings))


# What it says of itself.


async def test_device_time_disks_and_channels(record: Record) -> None:
    disks = [Disk(1), Disk(2, 1_907_729, status="notexist")]
    simulator = await record(Footage(), Footage(), disks=disks, clock_offset_seconds=3600)
    device = await get(simulator, "System/deviceInfo")
    assert (device.findtext("model"), device.findtext("deviceType")) == ("DS-7616NI-K2", "NVR")
    time = await get(simulator, "System/time")
    assert time.findtext("timeZone") == "CST-8:00:00"
    assert time.findtext("localTime") == "2026-11-23T13:00:00+08:00"
    async with client(simulator) as http:
        assert (await http.get("/ISAPI/System/time/localTime")).text == "2026-11-23T13:00:00+08:00"
    for path, root in (("ContentMgmt/Storage", "hddList/hdd"), ("ContentMgmt/Storage/hdd", "hdd")):
        listed = (await get(simulator, path)).findall(root)
        found = [(disk.findtext("status"), disk.findtext("capacity"), disk.findtext("freeSpace")) for disk in listed]
        assert found == [("ok", "7630885", "0"), ("notexist", "1907729", "0")]
    channels = await get(simulator, "ContentMgmt/InputProxy/channels")
    assert [channel.findtext("name") for channel in channels] == ["ch 1", "ch 2"]
    assert channels.get("size") != "2"
    tracks = await get(simulator, "ContentMgmt/record/tracks")
    assert [track.findtext("id") for track in tracks] == ["101", "201"]
    assert tracks.findtext("Track/CustomExtensionList/CustomExtension/enableSchedule") == "true"
    assert len(tracks.findall("Track[1]/TrackSchedule/ScheduleBlockList/ScheduleBlock/ScheduleAction")) == 7


async def test_namespaces_vary(record: Record) -> None:
    simulator = await record()
    async with client(simulator) as http:
        paths = ("System/deviceInfo", "System/time", "ContentMgmt/Storage", "ContentMgmt/InputProxy/channels",
                 "ContentMgmt/InputProxy/channels/status", "ContentMgmt/record/tracks")  # fmt: skip
        roots = [ET.fromstring((await http.get(f"/ISAPI/{path}")).content).tag for path in paths]
    assert len({root.partition("}")[0] for root in roots}) > 1


async def test_channel_status_follows_the_cameras(record: Record) -> None:
    simulator = await record(Footage(), Footage(), Footage())
    simulator.set_fault(2, Fault.DEAD)
    simulator.set_online(3, online=False)
    status = await get(simulator, "ContentMgmt/InputProxy/channels/status")
    assert [channel.findtext("online") for channel in status] == ["true", "false", "false"]
    simulator.set_fault(2, Fault.BLACK)
    status = await get(simulator, "ContentMgmt/InputProxy/channels/status")
    assert [channel.findtext("online") for channel in status] == ["true", "true", "false"]


async def test_what_a_camera_or_a_poor_account_is_not_given(record: Record) -> None:
    camera = await record(device_type="IPCamera")
    poor = await record(quirks=Quirks(forbidden_paths=("/ISAPI/ContentMgmt",)))
    async with client(camera) as http:
        assert (await http.get("/ISAPI/ContentMgmt/InputProxy/channels")).status_code == 403
        assert (await http.get("/ISAPI/nothing")).status_code == 404
    async with client(poor) as http:
        refused = await http.get("/ISAPI/ContentMgmt/Storage")
        assert refused.status_code == 403
        assert bare(refused.content).findtext("subStatusCode") == "lowPrivilege"
        assert (await http.get("/ISAPI/System/time")).status_code == 200


@pytest.mark.parametrize(("zone", "spelt"), [
    ("Asia/Shanghai", "CST-8:00:00"), ("Asia/Kolkata", "IST-5:30:00"), ("Asia/Tashkent", "UTC-5:00:00"),
    ("America/New_York", "EST+5:00:00DST01:00:00,M3.2.0/02:00:00,M11.1.0/02:00:00"),
    ("Europe/Berlin", "CET-1:00:00DST01:00:00,M3.5.0/02:00:00,M10.5.0/03:00:00"),
])  # fmt: skip
def test_zones_are_spelt_with_posix_signs(zone: str, spelt: str) -> None:
    assert hikvision_zone(zone) == spelt


# Search.


async def test_times_are_wall_clock_dressed_as_utc(record: Record) -> None:
    simulator = await record(Footage([Segment(NOON - HOUR, NOON - 60)]), clock_offset_seconds=0)
    async with client(simulator) as http:
        found = await search(http, "2026-11-23T00:00:00Z", "2026-11-23T23:59:59Z")
    assert spans(found) == [("2026-11-23T11:00:00Z", "2026-11-23T11:59:00Z")]
    item = bare(found.content).find("matchList/searchMatchItem")
    assert item is not None
    assert item.findtext("trackID") == "101"
    assert (item.findtext("mediaSegmentDescriptor/playbackURI") or "").startswith(f"rtsp://{simulator.rtsp.address}/")
    assert item.findtext("mediaSegmentDescriptor/lockStatus") == "unlock"
    assert status_of(found) == "OK"


async def test_nothing_found_is_a_success(record: Record) -> None:
    simulator = await record()
    async with client(simulator) as http:
        found = await search(http, "2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z")
    assert (spans(found), status_of(found)) == ([], "NO MATCHES")


async def test_pages_follow_the_misspelt_position_under_one_search_id(record: Record) -> None:
    simulator = await record(history(3))
    window = ("2026-11-19T00:00:00Z", "2026-11-23T23:59:59Z")
    everything: list[tuple[str, str]] = []
    async with client(simulator) as http:
        while True:
            page = await search(http, *window, searchResultPostion=len(everything), maxResults=20)
            everything += spans(page)
            if status_of(page) != "MORE":
                break
        first = await search(http, *window, maxResults=20, searchID="B")
        right_spelling = await search(http, *window, maxResults=20, searchID="B", searchResultPosition=20)
        other_id = await search(http, *window, maxResults=20, searchID="C", searchResultPostion=20)
    assert len(everything) == len(set(everything)) > 90
    assert everything == sorted(everything)
    assert spans(right_spelling) == spans(first) == spans(other_id)
    assert simulator.stats()["restarted_pages"] == 1


async def test_too_many_results_and_broken_requests_are_refused(record: Record) -> None:
    simulator = await record()
    async with client(simulator) as http:
        refused = [
            await search(http, "2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z", maxResults=51),
            await search(http, "2026-11-03T00:00:00Z", "2026-11-02T00:00:00Z"),
            await search(http, "yesterday", "2026-11-02T00:00:00Z"),
            await http.post("/ISAPI/ContentMgmt/search", content="<CMSearch"),
        ]
    assert [response.status_code for response in refused] == [400] * 4
    assert {bare(response.content).findtext("subStatusCode") for response in refused} == {"badParameters"}


async def test_a_search_lists_no_more_than_its_cap(record: Record) -> None:
    simulator = await record(history(9), quirks=Quirks(match_cap=100))
    window = ("2026-11-10T00:00:00Z", "2026-11-23T23:59:59Z")
    async with client(simulator) as http:
        assert bare((await search(http, *window)).content).findtext("numOfMatches") == "100"
        last = await search(http, *window, searchResultPostion=50)
    assert (len(spans(last)), status_of(last)) == (50, "OK")


async def test_wide_windows_fail_about_half_of_the_time_and_narrow_ones_never(record: Record) -> None:
    simulator = await record(history(2), quirks=Quirks(search_seconds=0))
    async with client(simulator) as http:
        wide = [await search(http, "2000-01-01T00:00:00Z", "2038-01-01T00:00:00Z", maxResults=1) for _ in range(40)]
        month = [await search(http, "2026-10-24T00:00:00Z", "2026-11-24T00:00:00Z") for _ in range(10)]
    assert 10 <= sum(response.status_code == 500 for response in wide) <= 30
    assert {bare(response.content).findtext("subStatusCode") for response in wide if response.status_code == 500} == {
        "deviceError"
    }
    assert {response.status_code for response in month} == {200}
    assert {len(spans(response)) for response in wide if response.status_code == 200} == {1}


async def test_two_searches_at_once_are_counted(record: Record) -> None:
    simulator = await record()
    window = ("2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z")
    async with client(simulator) as http:
        await search(http, *window)
        await search(http, *window)
        assert simulator.stats()["concurrent_searches"] == 0
        await asyncio.gather(search(http, *window), search(http, *window))
    assert simulator.stats()["concurrent_searches"] == 1


async def test_locked_overlapping_touching_and_double_segments_are_listed_as_they_are(record: Record) -> None:
    segments = [Segment(0, 60), Segment(60, 120), Segment(110, 180), Segment(110, 180), Segment(300, 360, locked=True)]
    simulator = await record(Footage(segments))
    async with client(simulator) as http:
        found = await search(http, "1970-01-01T00:00:00Z", "1970-01-02T00:00:00Z")
    locks = [item.text for item in bare(found.content).iter("lockStatus")]
    assert locks == ["unlock"] * 4 + ["lock"]
    assert [start[11:19] for start, _ in spans(found)] == ["08:00:00", "08:01:00", "08:01:50", "08:01:50", "08:05:00"]


async def test_daily_distribution_names_the_days_that_hold_something(record: Record) -> None:
    hole = (midnight_days_ago(NOON, ZoneInfo("Asia/Shanghai"), 5), NOON - 2 * DAY)
    simulator = await record(history(10, holes=[hole]))
    body = "<trackDailyParam><year>2026</year><monthOfYear>{}</monthOfYear></trackDailyParam>"
    async with client(simulator) as http:
        path = "/ISAPI/ContentMgmt/record/tracks/101/dailyDistribution"
        november, june, none = [await http.post(path, content=body.format(month)) for month in (11, 6, 13)]
    days = bare(november.content).findall("dayList/day")
    assert len(days) == 30
    held = [int(day.findtext("dayOfMonth") or 0) for day in days if day.findtext("record") == "true"]
    assert held == [13, 14, 15, 16, 17, 21, 22, 23]
    assert {day.findtext("record") for day in bare(june.content).iter("day")} == {"false"}
    assert none.status_code == 400


# Recording goes on.


async def newest(simulator: HikvisionSimulator) -> str:
    async with client(simulator) as http:
        return spans(await search(http, "2026-11-23T00:00:00Z", "2026-11-24T23:59:59Z"))[-1][1]


async def test_footage_grows_behind_now_and_stops_while_the_camera_or_the_recorder_is_dead(
    record: Record, now: Time
) -> None:
    simulator = await record(history(1))
    assert await newest(simulator) == "2026-11-23T11:59:40Z"
    now.at += 600
    assert await newest(simulator) == "2026-11-23T12:09:40Z"
    simulator.set_fault(1, Fault.DEAD)
    now.at += 600
    assert await newest(simulator) == "2026-11-23T12:10:00Z"
    simulator.set_fault(1, Fault.NONE)
    now.at += 600
    await simulator.die()
    now.at += 600
    await simulator.revive()
    now.at += 600
    async with client(simulator) as http:
        found = spans(await search(http, "2026-11-23T12:00:00Z", "2026-11-23T23:00:00Z"))
    live = [(start[11:], end[11:]) for start, end in found if start >= "2026-11-23T12:00"]
    assert live == [("12:00:00Z", "12:10:00Z"), ("12:20:00Z", "12:30:00Z"), ("12:40:00Z", "12:49:40Z")]


async def test_a_cut_line_leaves_no_hole(record: Record, now: Time) -> None:
    simulator = await record()
    await simulator.disconnect()
    now.at += 600
    await simulator.revive()
    now.at += 60
    async with client(simulator) as http:
        found = spans(await search(http, "2026-11-23T12:00:00Z", "2026-11-23T23:00:00Z"))
    assert found == [("2026-11-23T12:00:00Z", "2026-11-23T12:10:40Z")]


async def test_segments_close_by_the_hour_and_the_oldest_are_overwritten(record: Record, now: Time) -> None:
    simulator = await record(Footage([Segment(NOON - 5 * HOUR, NOON)], keep_seconds=4 * HOUR))
    now.at += 2 * HOUR
    async with client(simulator) as http:
        found = spans(await search(http, "2026-11-23T00:00:00Z", "2026-11-23T23:00:00Z"))
    assert [(start[11:16], end[11:19]) for start, end in found] == [
        ("10:00", "12:00:00"), ("12:00", "13:00:00"), ("13:00", "13:59:40"),
    ]  # fmt: skip


async def test_a_clock_step_cuts_the_file_and_older_footage_keeps_its_stamps(record: Record, now: Time) -> None:
    simulator = await record(Footage([Segment(NOON - HOUR, NOON)]))
    now.at += 600
    simulator.set_clock_offset(3600)
    now.at += 600
    async with client(simulator) as http:
        found = spans(await search(http, "2026-11-23T00:00:00Z", "2026-11-23T23:00:00Z"))
        assert (await http.get("/ISAPI/System/time/localTime")).text == "2026-11-23T13:20:00+08:00"
    assert [(start[11:], end[11:]) for start, end in found] == [
        ("11:00:00Z", "12:00:00Z"), ("12:00:00Z", "12:10:00Z"), ("13:10:00Z", "13:19:40Z"),
    ]  # fmt: skip


async def test_a_failed_disk_or_a_switched_off_schedule_records_nothing(record: Record, now: Time) -> None:
    simulator = await record(Footage(lag_seconds=0))
    footage = simulator.state.channels[0].footage
    simulator.set_disk(1, "error")
    assert not footage.recording
    simulator.set_disk(1, "ok")
    simulator.set_schedule(1, enabled=False)
    assert not footage.recording
    simulator.set_schedule(1, enabled=True)
    now.at += 60
    assert footage.segments(now()) == [Segment(NOON, NOON + 60)]
    simulator.erase(1, NOON, NOON + 30)
    simulator.set_online(1, online=False)
    simulator.erase(1, NOON, NOON + 30)
    assert footage.segments(now()) == [Segment(NOON + 30, NOON + 60)]


async def test_an_undeclared_channel_can_be_plugged_in(record: Record) -> None:
    simulator = await record()
    simulator.add_channel(Channel(7, "extra", Camera("extra")))
    channels = await get(simulator, "ContentMgmt/InputProxy/channels")
    assert [channel.findtext("id") for channel in channels] == ["1", "7"]
    assert simulator.rtsp_url(7).endswith("/Streaming/Channels/702")


def test_generated_footage_tiles_what_it_should() -> None:
    segments = continuous(0, 3 * DAY, seed=4, holes=[(DAY, DAY + HOUR)], cutting=Cutting((60, 600)))
    assert segments[0].start == 0
    assert segments[-1].end == 3 * DAY
    breaks = [(one.end, two.start) for one, two in itertools.pairwise(segments) if one.end != two.start]
    assert breaks == [(DAY, DAY + HOUR)]
    assert continuous(0, DAY, seed=4) == continuous(0, DAY, seed=4) != continuous(0, DAY, seed=5)
    crossed = continuous(0, DAY, seed=4, cutting=Cutting(overlap_every=5, duplicate_every=7), locked=[(0, 7200)])
    assert any(one.end > two.start and one != two for one, two in itertools.pairwise(crossed))
    assert len(crossed) > len(set(crossed))
    assert 0 < sum(segment.locked for segment in crossed) < 8
    clips = motion_clips(0, DAY, seed=1)
    assert sum(clip.end - clip.start for clip in clips) < 0.1 * DAY


# Logins.


async def test_a_login_is_challenged_and_a_refused_one_counted(record: Record) -> None:
    simulator = await record(lock_after=None)
    async with httpx2.AsyncClient(base_url=simulator.url, trust_env=False) as http:
        refused = await http.get("/ISAPI/System/time")
        assert refused.status_code == 401
        assert 'qop="auth"' in refused.headers["www-authenticate"]
    assert simulator.stats()["failed_logins"] == 0
    async with client(simulator, "wrong") as http:
        assert (await http.get("/ISAPI/System/time")).status_code == 401
    assert (simulator.stats()["failed_logins"], simulator.stats()["repeated_refusals"]) == (1, 0)
    async with client(simulator, "wrong") as http:
        assert (await http.get("/ISAPI/System/time")).status_code == 401
    assert simulator.stats()["repeated_refusals"] == 1


async def test_a_stale_nonce_is_no_refusal(record: Record) -> None:
    simulator = await record()
    async with client(simulator) as http:
        assert (await http.get("/ISAPI/System/time")).status_code == 200
        simulator.door.expire_nonces()
        stale = await http.get("/ISAPI/System/time")
    assert (stale.status_code, simulator.stats()["http_401_stale"]) == (200, 1)
    assert simulator.stats()["failed_logins"] == 0


async def test_bad_logins_lock_the_account_for_everybody(record: Record) -> None:
    simulator = await record(lock_after=3)
    for left in ("2", "1", None):
        async with client(simulator, "wrong") as http:
            body = bare((await http.get("/ISAPI/System/time")).content)
            assert body.findtext("retryLoginTime") == (left or "3")
    assert body.findtext("lockStatus") == "lock"
    async with client(simulator) as http:
        locked = await http.get("/ISAPI/System/time")
    assert locked.status_code == 401
    assert 1790 <= int(bare(locked.content).findtext("unlockTime") or 0) <= 1800
    assert simulator.stats()["attempts_while_locked"] == 1


async def test_a_changed_password_holds_for_both_protocols(record: Record) -> None:
    simulator = await record()
    simulator.change_password("another")
    async with client(simulator) as http:
        assert (await http.get("/ISAPI/System/time")).status_code == 401
    async with client(simulator, "another") as http:
        assert (await http.get("/ISAPI/System/time")).status_code == 200
    assert simulator.rtsp.authenticator.account is simulator.account


async def test_death_closes_both_ports_and_revival_opens_the_same(record: Record) -> None:
    simulator = await record()
    url, stream = simulator.url, simulator.rtsp_url(1)
    await simulator.die()
    for port in (simulator.web.port, simulator.rtsp.port):
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
    await simulator.revive()
    assert (simulator.url, simulator.rtsp_url(1)) == (url, stream)
    await get(simulator, "System/time")


async def test_a_body_without_a_stated_length_is_not_taken(record: Record) -> None:
    simulator = await record()
    reader, writer = await asyncio.open_connection("127.0.0.1", simulator.web.port)
    writer.write(b"POST /ISAPI/ContentMgmt/search HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
    assert (await reader.read()).startswith(b"HTTP/1.1 411 ")
    writer.close()
    await writer.wait_closed()
