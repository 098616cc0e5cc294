"""The Hikvision driver's manners and its answers to misbehaving firmware, over sockets, from fixtures."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from agents.recorders.base import NotOffered, RecorderError
from agents.recorders.hikvision import Hikvision
from agents.recorders.settings import OptionsError
from monitor.model.clock import ManualClock
from monitor.model.span import HOUR, MINUTE, Spans, to_millis
from support.recorder_http import NOW, Asked, Door, Handler, Reply, behind, recorder_settings, serving

NOON = to_millis(NOW)
FIXTURES = Path(__file__).parents[2] / "fixtures" / "recorders" / "hikvision"
ABSENT = Reply(404, b"<ResponseStatus><subStatusCode>notSupport</subStatusCode></ResponseStatus>")
FORBIDDEN = Reply(403, (FIXTURES / "error_low_privilege.xml").read_bytes())
ITEM = """<searchMatchItem><trackID>101</trackID><timeSpan><startTime>2026-11-23T{0}Z</startTime><endTime>2026-11-23T{1}Z</endTime></timeSpan>
<mediaSegmentDescriptor><lockStatus>unlock</lockStatus><playbackURI>rtsp://x/?name={0}</playbackURI></mediaSegmentDescriptor></searchMatchItem>"""
FIVE_TO_NOON = ITEM.format("11:55:00", "12:00:00")
TEN_TO_NOON = ITEM.format("11:50:00", "11:55:00")


def page(status: str, matches: int, *items: str) -> Reply:
    listed = f"<matchList>{''.join(items)}</matchList>"
    return Reply(
        200,
        f"<CMSearchResult><responseStatusStrg>{status}</responseStatusStrg><numOfMatches>{matches}</numOfMatches>{listed}</CMSearchResult>".encode(),
    )


def answers(**changes: Any) -> Handler:
    """Answer from the fixtures; a change is named by the last part of the path, and is a reply or makes one."""
    replies: dict[str, Any] = {
        "deviceInfo": "device_info_nvr.xml",
        "time": "time_china.xml",
        "Storage": "storage.xml",
        "hdd": "hdd_list.xml",
        "channels": "proxy_channels.xml",
        "status": "proxy_status.xml",
        "inputs": "analog_channels.xml",
        "dailyDistribution": "daily_distribution.xml",
        "search": "search_none.xml",
    } | changes

    def handle(asked: Asked) -> Reply:
        name = "inputs" if "/Video/inputs/" in asked.target else asked.target.rpartition("/")[2]
        found = replies[name]
        if isinstance(found, str):
            return Reply(200, (FIXTURES / found).read_bytes())
        return found if isinstance(found, Reply) else found(asked)

    return handle


def driver_of(tmp_path: Path, url: str, **changes: Any) -> Hikvision:
    return Hikvision(recorder_settings(tmp_path, url, **{"clock": ManualClock(NOW), **changes}))


async def failure(tmp_path: Path, handler: Handler, **changes: Any) -> RecorderError:
    async with serving(behind(Door(), handler)) as server:
        driver = driver_of(tmp_path, server.url, **changes)
        with pytest.raises(RecorderError) as error:
            await driver.footage("1", NOON - HOUR, NOON)
        await driver.close()
    return error.value


async def test_a_dvr_has_its_analog_inputs(tmp_path: Path) -> None:
    """InputProxy is not for it: 403 or 404, by firmware."""
    for refusal in (ABSENT, FORBIDDEN, Reply(403)):
        async with serving(behind(Door(), answers(deviceInfo="device_info_dvr.xml", channels=refusal))) as server:
            driver = driver_of(tmp_path, server.url)
            assert [(one.id, one.name, one.online) for one in await driver.channels()] == [
                ("1", "Camera 01", None),
                ("2", "Camera 02", None),
            ]
            await driver.close()


async def test_a_hybrid_has_both(tmp_path: Path) -> None:
    async with serving(behind(Door(), answers(deviceInfo="device_info_dvr.xml"))) as server:
        driver = driver_of(tmp_path, server.url)
        assert [(one.id, one.online) for one in await driver.channels()] == [("1", True), ("2", False), ("9", None)]
        await driver.close()


async def test_an_nvr_is_not_asked_for_analog_inputs(tmp_path: Path) -> None:
    async with serving(behind(Door(), answers())) as server:
        driver = driver_of(tmp_path, server.url)
        assert len(await driver.channels()) == 3
        await driver.close()
    assert not any("Video" in one.target for one in server.asked)


async def test_a_missing_right_to_the_channels_is_no_recorder_without_channels(tmp_path: Path) -> None:
    for inputs in (ABSENT, FORBIDDEN, Reply(200, b"<VideoInputChannelList/>")):
        async with serving(behind(Door(), answers(channels=FORBIDDEN, inputs=inputs))) as server:
            driver = driver_of(tmp_path, server.url)
            with pytest.raises(RecorderError, match="Remote: Parameters Settings") as error:
                await driver.channels()
            await driver.close()
        assert error.value.cause == "not_permitted"


async def test_older_firmware_lists_disks_elsewhere(tmp_path: Path) -> None:
    async with serving(behind(Door(), answers(Storage=ABSENT))) as server:
        driver = driver_of(tmp_path, server.url)
        assert [one.id for one in await driver.disks()] == ["hdd1"]
        await driver.close()


async def test_pages_follow_under_one_search_id_with_the_firmwares_spelling(tmp_path: Path) -> None:
    pages = {"0": page("MORE", 1, TEN_TO_NOON), "1": page("OK", 1, FIVE_TO_NOON)}

    def search(asked: Asked) -> Reply:
        found = re.search(rb"<searchResultPostion>(\d+)</searchResultPostion>", asked.body)
        assert found is not None
        return pages[found[1].decode()]

    async with serving(behind(Door(), answers(search=search))) as server:
        driver = driver_of(tmp_path, server.url)
        footage = await driver.footage("1", NOON - HOUR, NOON)
        await driver.close()
    assert footage.spans == Spans.window(NOON - 10 * MINUTE, NOON)
    bodies = [one.body for one in server.asked if one.has_credentials and one.target.endswith("search")]
    assert len({re.findall(rb"<searchID>(.+?)</searchID>", body)[0] for body in bodies}) == 1
    assert all(b"<maxResults>40</maxResults>" in body for body in bodies)


@pytest.mark.parametrize(
    "search",
    [
        lambda _: page("MORE", 1, TEN_TO_NOON),  # the position is ignored: every page is the first
        lambda _: page("MORE", 0),
        lambda asked: page("OK", 5, TEN_TO_NOON) if b"Postion>0<" in asked.body else page("NO MATCHES", 0),
        lambda asked: page("MORE", 1, TEN_TO_NOON) if b"Postion>0<" in asked.body else Reply(200, b"<CMSea"),
        lambda _: Reply(500, (FIXTURES / "error_device.xml").read_bytes()),
        lambda _: Reply(200, b""),
    ],
)
async def test_a_search_that_does_not_come_to_its_end_is_unknown(tmp_path: Path, search: Handler) -> None:
    error = await failure(tmp_path, answers(search=search))
    assert error.cause == "recorder"
    assert error.asked.startswith("POST /ISAPI/ContentMgmt/search (track 101, 2026-11-23T1")


async def test_a_busy_window_is_searched_once_more_in_halves(tmp_path: Path) -> None:
    def busy_when_wide(asked: Asked) -> Reply:
        return (
            page("OK", 1, FIVE_TO_NOON)
            if b"<endTime>2026-11-23T12:00:00Z" in asked.body and b"T11:" in asked.body
            else page("NO MATCHES", 0)
        )

    calls = []

    def search(asked: Asked) -> Reply:
        calls.append(asked)
        return Reply(503) if len(calls) == 1 else busy_when_wide(asked)

    async with serving(behind(Door(), answers(search=search))) as server:
        driver = driver_of(tmp_path, server.url)
        footage = await driver.footage("1", NOON - HOUR, NOON)
        await driver.close()
    assert footage.spans == Spans.window(NOON - 5 * MINUTE, NOON)
    assert len(calls) == 3


async def test_a_recorder_that_stays_busy_is_full_and_asked_no_more(tmp_path: Path) -> None:
    calls = []

    def search(asked: Asked) -> Reply:
        calls.append(asked)
        return Reply(503)

    assert (await failure(tmp_path, answers(search=search))).cause == "recorder_full"
    assert len(calls) == 2


@pytest.mark.parametrize("answer", [ABSENT, Reply(400, b"<x/>"), Reply(500), Reply(200, b"<trackDailyDistribution/>")])
async def test_without_a_calendar_each_week_is_searched(tmp_path: Path, answer: Reply) -> None:
    async with serving(behind(Door(), answers(dailyDistribution=answer))) as server:
        driver = driver_of(tmp_path, server.url)
        assert (await driver.footage("1", NOON - 20 * 24 * HOUR, NOON)).spans == Spans.empty()
        await driver.close()
    assert server.requests().count("POST /ISAPI/ContentMgmt/search") == 3


async def test_a_calendar_that_denies_footage_is_not_believed(tmp_path: Path) -> None:
    """Its empty days are searched too, so that a wrong one does not become a gap."""
    item = ITEM.replace("2026-11-23", "2026-11-10").format("08:00:00", "09:00:00")

    def search(asked: Asked) -> Reply:
        first, last = re.findall(rb"<(?:start|end)Time>(.{10})", asked.body)
        return page("OK", 1, item) if first <= b"2026-11-10" <= last else page("NO MATCHES", 0)

    async with serving(behind(Door(), answers(search=search))) as server:
        driver = driver_of(tmp_path, server.url)
        footage = await driver.footage("1", NOON - 20 * 24 * HOUR, NOON)
        await driver.close()
    assert footage.spans.total() == HOUR


@pytest.mark.parametrize("answer", [ABSENT, FORBIDDEN])
async def test_without_its_clock_the_institutions_zone_is_taken(tmp_path: Path, answer: Reply) -> None:
    async with serving(behind(Door(), answers(time=answer, search=page("OK", 1, FIVE_TO_NOON)))) as server:
        driver = driver_of(tmp_path, server.url)
        assert (await driver.footage("1", NOON - HOUR, NOON)).spans == Spans.window(NOON - 5 * MINUTE, NOON)
        await driver.close()


async def test_the_zone_is_asked_once_an_hour(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    async with serving(behind(Door(), answers())) as server:
        driver = driver_of(tmp_path, server.url, clock=clock)
        for minutes in (0, 20, 20, 25):
            clock.advance(minutes * 60)
            await driver.footage("1", NOON - HOUR, NOON)
        await driver.close()
    assert server.requests().count("GET /ISAPI/System/time") == 2


async def test_the_clocks_offset_is_measured_in_the_middle_of_the_request(tmp_path: Path) -> None:
    clock = ManualClock(NOW)

    def slow(_: Asked) -> Reply:
        clock.advance(4)
        return Reply(200, (FIXTURES / "time_china.xml").read_bytes())  # shows 12:00:30

    async with serving(behind(Door(), answers(time=slow))) as server:
        driver = driver_of(tmp_path, server.url, clock=clock)
        assert await driver.clock_offset() == pytest.approx(28.5)
        await driver.close()
    assert clock.now() == NOW + timedelta(seconds=4)


async def test_what_firmware_lacks_is_not_offered(tmp_path: Path) -> None:
    async with serving(behind(Door(), answers(deviceInfo=ABSENT))) as server:
        driver = driver_of(tmp_path, server.url)
        with pytest.raises(NotOffered) as error:
            await driver.identity()
        assert error.value.cause == "not_offered"
        await driver.close()


@pytest.mark.parametrize("channel", ["", "gate", "0", "-1", "1/../2", "٣", "99999"])
async def test_a_channel_that_is_no_number_is_never_asked_for(tmp_path: Path, channel: str) -> None:
    async with serving(behind(Door(), answers())) as server:
        driver = driver_of(tmp_path, server.url)
        with pytest.raises(RecorderError, match="set `channel`"):
            await driver.footage(channel, NOON - HOUR, NOON)
        assert driver.stream_url(channel, main=True) is None
    assert server.asked == []


def test_stream_addresses_are_the_makers(tmp_path: Path) -> None:
    assert (
        driver_of(tmp_path, "http://192.0.2.10").stream_url("1", main=True)
        == "rtsp://192.0.2.10:554/Streaming/Channels/101"
    )
    driver = driver_of(tmp_path, "https://[2001:db8::1]:8443", rtsp_port=10554)
    assert driver.stream_url("16", main=False) == "rtsp://[2001:db8::1]:10554/Streaming/Channels/1602"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"page_sise": 10},
            "recorder nvr: unknown key 'page_sise'; driver hikvision knows: page_size, timeout_seconds",
        ),
        ({"page_size": 64}, "recorder nvr: key 'page_size'"),
        ({"timeout_seconds": 0}, "recorder nvr: key 'timeout_seconds'"),
    ],
)
def test_wrong_options_are_one_sentence(tmp_path: Path, options: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionsError) as error:
        driver_of(tmp_path, "http://192.0.2.10", options=options)
    assert str(error.value).startswith(words)


def test_settings_never_show_the_password(tmp_path: Path) -> None:
    assert "geheim" not in repr(recorder_settings(tmp_path, "http://192.0.2.10", password="geheim"))


async def test_only_reading_requests_are_ever_sent(tmp_path: Path) -> None:
    async with serving(behind(Door(), answers())) as server:
        driver = driver_of(tmp_path, server.url)
        for work in (driver.identity(), driver.channels(), driver.disks(), driver.clock_offset(), driver.earliest("1")):
            await work
        await driver.footage("1", NOON - 20 * 24 * HOUR, NOON)
        await driver.close()
    posts = {one.target for one in server.asked if one.method != "GET"}
    assert posts == {"/ISAPI/ContentMgmt/search", "/ISAPI/ContentMgmt/record/tracks/101/dailyDistribution"}
    assert {one.method for one in server.asked} == {"GET", "POST"}
