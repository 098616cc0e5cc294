"""The ONVIF driver against the simulated recorder, over real sockets: an independent view of the same interface."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from agents.recorders.base import NotOffered, RecorderError, StreamPlayback, TimeSync
from agents.recorders.onvif import Onvif
from agents.simulators.camera import Camera
from agents.simulators.footage import Footage, Segment
from agents.simulators.onvif import OnvifQuirks, OnvifSimulator
from agents.simulators.recorder import AlarmInput, Channel, RecorderState
from agents.simulators.webserver import Request
from monitor.model.clock import ManualClock
from monitor.model.span import DAY, HOUR, MINUTE, Millis, Spans, to_millis
from support.recorder_http import NOW, PASSWORD, Asked, Reply, recorder_settings, serving

NOON = to_millis(NOW)
FIND = b"""<e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope"><e:Body>
<FindRecordings xmlns="http://www.onvif.org/ver10/search/wsdl"><KeepAliveTime>PT30S</KeepAliveTime></FindRecordings>
</e:Body></e:Envelope>"""
FIXTURES = Path(__file__).parents[2] / "fixtures" / "recorders" / "onvif"


@asynccontextmanager
async def recorded(
    tmp_path: Path,
    footages: list[list[Segment]],
    quirks: OnvifQuirks | None = None,
    password: str = "Cradle-2026",
    rude_logins: int = 0,
    **state: Any,
) -> AsyncIterator[tuple[OnvifSimulator, Onvif]]:
    """Run a simulated recorder that holds these segments, and a driver; no search may be left behind."""
    clock = ManualClock(NOW)

    def now() -> float:
        return clock.now().timestamp()

    channels = [
        Channel(number, f"camera {number}", Camera(number, now=now), Footage(segments, lag_seconds=0), live=False)
        for number, segments in enumerate(footages, start=1)
    ]
    async with OnvifSimulator(RecorderState(channels, now=now, **state), quirks) as simulator:
        settings = recorder_settings(
            tmp_path,
            simulator.url,
            driver="onvif",
            clock=clock,
            username=simulator.state.username,
            password=password,
            timezone=ZoneInfo(simulator.state.timezone),
        )
        driver = Onvif(settings)
        try:
            yield simulator, driver
        finally:
            await driver.close()
        stats = simulator.stats()
        assert (stats["concurrent_searches"], stats["abandoned_searches"], stats["open_searches"]) == (0, 0, 0)
        assert stats["repeated_refusals"] <= rude_logins


def whole_days(days: int, *, minutes: int = 60, until: Millis = NOON) -> list[Segment]:
    step = minutes * MINUTE
    return [Segment(at / 1000, (at + step) / 1000) for at in range(until - days * DAY, until, step)]


def spans_of(segments: list[Segment]) -> Spans:
    return Spans.of([(round(one.start * 1000), round(one.end * 1000)) for one in segments])


@pytest.mark.parametrize("login", ["digest", "token", "either", "none"])
@pytest.mark.parametrize("offset", [0, 5000])
async def test_what_the_recorder_is_and_has_whatever_login_it_wants(tmp_path: Path, login: Any, offset: float) -> None:
    """A login inside the message is dated by the device's clock: an hour wrong, it would be refused."""
    quirks = OnvifQuirks(login=login, named="Rec_{id}")
    inputs = [AlarmInput(1), AlarmInput(2)]
    async with recorded(tmp_path, [whole_days(1), []], quirks, clock_offset_seconds=offset, alarm_inputs=inputs) as (
        simulator,
        driver,
    ):
        assert (await driver.identity()).model == "DS-7616NI-K2"
        assert driver.stream_url("Rec_2", main=False) is None
        assert [(one.id, one.name, one.online) for one in await driver.channels()] == [
            ("Rec_1", "camera 1", None),
            ("Rec_2", "camera 2", None),
        ]
        assert driver.stream_url("Rec_2", main=False) == simulator.rtsp_url(2, "sub")
        assert driver.stream_url("Rec_2", main=True) == simulator.rtsp_url(2, "main")
        assert await driver.time_sync() == TimeSync(enabled=True, has_server=True)
        assert [one.id for one in await driver.alarm_inputs()] == ["In1", "In2"]
        assert await driver.expiry_days() == {"Rec_1": None, "Rec_2": None}
        assert (await driver.footage("Rec_1", NOON - 2 * DAY, NOON)).spans == Spans.window(NOON - DAY, NOON)
        assert simulator.account.failed_logins == 0


@pytest.mark.parametrize("media", [("trt",), ("tr2",), ("trt", "tr2"), ()])
async def test_live_streams_are_looked_for_once_by_the_media_service_that_there_is(
    tmp_path: Path, media: tuple[str, ...]
) -> None:
    async with recorded(tmp_path, [[], []], OnvifQuirks(offered=("tds", "tse", *media))) as (simulator, driver):
        for _ in range(3):
            await driver.channels()
        assert simulator.requests["GetStreamUri"] == (4 if media else 0)
        assert driver.stream_url("2", main=True) == (simulator.rtsp_url(2, "main") if media else None)
        assert driver.stream_url("2", main=False) == (simulator.rtsp_url(2, "sub") if media else None)


@pytest.mark.parametrize("retention", [("PT0S", None), ("P90D", 90), ("PT2160H", 90), ("P89DT23H", 89)])
async def test_the_expiry_that_is_set(tmp_path: Path, retention: tuple[str, int | None]) -> None:
    async with recorded(tmp_path, [[]], OnvifQuirks(retention=retention[0])) as (_, driver):
        assert await driver.expiry_days() == {"1": retention[1]}


async def test_playback_is_on_the_recorders_own_host(tmp_path: Path) -> None:
    async with recorded(tmp_path, [[]]) as (simulator, driver):
        found = await driver.playback("1", NOON, 10)
        assert found == StreamPlayback(
            f"rtsp://127.0.0.1:{simulator.rtsp.port}/replay/1",
            "clock=20261123T040000Z-20261123T040010Z",
            (("Require", "onvif-replay"),),
        )


@pytest.mark.parametrize("offset", [0, 3600, -2100, 0.4])
async def test_the_clocks_offset_to_within_half_a_second(tmp_path: Path, offset: float) -> None:
    async with recorded(tmp_path, [[]], clock_offset_seconds=offset, timezone="America/New_York") as (_, driver):
        assert abs(await driver.clock_offset() - offset) <= 0.5


@pytest.mark.parametrize("start_states", [True, False])
async def test_days_and_holes_are_read_whole(tmp_path: Path, start_states: bool) -> None:
    lengths = {60 * DAY: 1000, 40 * DAY: 2 * DAY, 20 * DAY: HOUR, 90 * MINUTE: 50 * MINUTE}
    holes = Spans.of([(NOON - ago, NOON - ago + length) for ago, length in lengths.items()])
    held = Spans.window(NOON - 95 * DAY, NOON).subtract(holes)
    segments = [Segment(low / 1000, high / 1000) for low, high in held.tuples()]
    async with recorded(tmp_path, [segments], OnvifQuirks(start_states=start_states)) as (simulator, driver):
        told: list[float] = []
        footage = await driver.footage("1", NOON - 64 * DAY, NOON + MINUTE, told.append)
        assert footage.spans == spans_of(segments).clip(NOON - 64 * DAY, NOON)
        assert footage.locked == Spans.empty()
        assert told == sorted(told)
        assert told[-1] == 1.0
        assert simulator.searches == 3
        assert await driver.earliest("1") == NOON - 95 * DAY
        assert await driver.latest("1") == NOON


async def test_a_long_run_without_a_word_is_unknown_and_no_gap(tmp_path: Path) -> None:
    """A recorder that tells no state at the start of a window tells nothing of a window without a change."""
    async with recorded(tmp_path, [whole_days(80)], OnvifQuirks(start_states=False)) as (_, driver):
        with pytest.raises(RecorderError, match="what is held is unknown") as error:
            await driver.footage("1", NOON - 70 * DAY, NOON - 10 * DAY)
        assert error.value.cause == "recorder"


@pytest.mark.parametrize("always", [False, True])
async def test_a_history_that_denies_all_footage_is_a_contradiction(tmp_path: Path, always: bool) -> None:
    async with recorded(tmp_path, [whole_days(20)], OnvifQuirks(always_present=always)) as (_, driver):
        if always:
            assert (await driver.footage("1", NOON - 30 * DAY, NOON)).spans == Spans.window(NOON - 20 * DAY, NOON)
            return
        with pytest.raises(RecorderError, match="lists none"):
            await driver.footage("1", NOON - 30 * DAY, NOON)


async def test_a_camera_without_footage_has_none(tmp_path: Path) -> None:
    async with recorded(tmp_path, [[], whole_days(2, until=NOON - 50 * DAY)]) as (_, driver):
        for channel in ("1", "2"):
            told: list[float] = []
            assert (await driver.footage(channel, NOON - 10 * DAY, NOON, told.append)).spans == Spans.empty()
            assert told == [1.0]
            assert await driver.latest(channel) is None
        assert await driver.earliest("1") is None
        assert await driver.earliest("2") == NOON - 52 * DAY


async def test_the_last_hour_of_many_channels_costs_two_requests_each(tmp_path: Path) -> None:
    async with recorded(tmp_path, [whole_days(2) for _ in range(8)]) as (simulator, driver):
        await driver.clock_offset()
        for channel in range(1, 9):
            await driver.footage(str(channel), NOON - HOUR, NOON)
        searches = {
            name: simulator.requests[name]
            for name in ("FindRecordings", "FindEvents", "GetEventSearchResults", "EndSearch")
        }
        assert searches == {"FindRecordings": 1, "FindEvents": 8, "GetEventSearchResults": 8, "EndSearch": 0}


@pytest.mark.parametrize("slow_polls", [0, 3])
async def test_results_come_in_pages_and_slowly(tmp_path: Path, slow_polls: int) -> None:
    clips = [Segment(at / 1000, (at + 20_000) / 1000) for at in range(NOON - DAY, NOON, 10 * MINUTE)]
    async with recorded(tmp_path, [clips], OnvifQuirks(page_size=50, slow_polls=slow_polls)) as (_, driver):
        assert (await driver.footage("1", NOON - 2 * DAY, NOON)).spans == spans_of(clips)


@pytest.mark.parametrize(
    ("quirks", "words"),
    [
        (OnvifQuirks(repeats=True), "repeats the same results"),
        (OnvifQuirks(slow_polls=10**6), "did not come to its end"),
    ],
)
async def test_a_search_without_an_end_is_ended_by_us(tmp_path: Path, quirks: OnvifQuirks, words: str) -> None:
    async with recorded(tmp_path, [whole_days(2)], quirks) as (simulator, driver):
        with pytest.raises(RecorderError, match=words):
            await driver.channels()
        assert simulator.requests["EndSearch"] == 1


async def test_a_search_that_is_cancelled_is_ended(tmp_path: Path) -> None:
    async with recorded(tmp_path, [whole_days(2)]) as (simulator, driver):
        await driver.identity()
        await driver.channels()
        simulator.quirks.search_seconds = 0.3
        task = asyncio.create_task(driver.footage("1", NOON - DAY // 2, NOON))
        async with asyncio.timeout(10):
            while not simulator.stats()["open_searches"]:  # noqa: ASYNC110  (it tells nobody)
                await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert simulator.requests["EndSearch"] == 1


async def test_one_recording_for_all_channels_tells_nothing_of_each(tmp_path: Path) -> None:
    async with recorded(tmp_path, [whole_days(20), []], OnvifQuirks(one_recording=True)) as (_, driver):
        for question in (driver.footage("1", NOON - DAY, NOON), driver.earliest("1"), driver.latest("1")):
            with pytest.raises(NotOffered, match="for all its channels"):
                await question


@pytest.mark.parametrize(
    ("quirks", "questions"),
    [
        (
            OnvifQuirks(offered=("tds", "trt")),
            ["footage", "channels", "earliest", "playback", "expiry_days", "alarm_inputs"],
        ),
        (OnvifQuirks(events=False), ["footage"]),
        (OnvifQuirks(), ["disks", "recording_modes"]),
    ],
)
async def test_what_a_unit_lacks_is_not_offered(tmp_path: Path, quirks: OnvifQuirks, questions: list[str]) -> None:
    arguments: dict[str, tuple[Any, ...]] = {
        "footage": ("1", NOON - DAY, NOON), "earliest": ("1",), "playback": ("1", NOON, 10.0),
    }  # fmt: skip
    async with recorded(tmp_path, [whole_days(2)], quirks) as (_, driver):
        for question in questions:
            with pytest.raises(NotOffered):
                await getattr(driver, question)(*arguments.get(question, ()))


async def test_older_units_tell_their_services_by_capabilities(tmp_path: Path) -> None:
    async with recorded(tmp_path, [whole_days(2)], OnvifQuirks(get_services=False)) as (_, driver):
        assert (await driver.footage("1", NOON - DAY, NOON)).spans == Spans.window(NOON - DAY, NOON)


async def test_local_times_for_utc_are_noticed(tmp_path: Path) -> None:
    async with recorded(tmp_path, [whole_days(2)], OnvifQuirks(local_for_utc=True)) as (_, driver):
        with pytest.raises(RecorderError, match="local times for UTC"):
            await driver.footage("1", NOON - DAY, NOON + DAY)


async def test_a_full_search_desk_is_busy_and_nothing_is_left_open(tmp_path: Path) -> None:
    async with recorded(tmp_path, [whole_days(2)], OnvifQuirks(max_sessions=0)) as (_, driver):
        with pytest.raises(RecorderError) as error:
            await driver.footage("1", NOON - DAY, NOON)
        assert error.value.cause == "recorder_full"


async def test_a_session_that_a_killed_process_left_open_ends_by_its_own_keep_alive(tmp_path: Path) -> None:
    quirks = OnvifQuirks(login="none", max_sessions=1)
    async with recorded(tmp_path, [whole_days(2)], quirks) as (simulator, driver):
        assert (await simulator.web.handler(Request("POST", "/onvif/SearchRecording", {}, FIND))).status == 200
        simulator.lose_client()
        with pytest.raises(RecorderError) as error:
            await driver.footage("1", NOON - DAY, NOON)
        assert error.value.cause == "recorder_full"
        clock = driver._settings.clock
        assert isinstance(clock, ManualClock)
        clock.advance(31)
        assert (await driver.footage("1", NOON - DAY, NOON)).spans == Spans.window(NOON - DAY, NOON)


@pytest.mark.parametrize(("login", "fault_status"), [("digest", 500), ("token", 400), ("token", 500)])
async def test_a_missing_right_is_no_refused_login_and_names_the_menu(
    tmp_path: Path, login: Any, fault_status: int
) -> None:
    quirks = OnvifQuirks(login=login, fault_status=fault_status, forbidden=("FindRecordings", "GetReplayUri"))
    async with recorded(tmp_path, [whole_days(2)], quirks) as (simulator, driver):
        for question in (driver.footage("1", NOON - DAY, NOON), driver.playback("1", NOON, 10), driver.channels()):
            with pytest.raises(RecorderError, match="Integration Protocol") as error:
                await question
            assert error.value.cause == "not_permitted"
        assert (await driver.identity()).model
        assert simulator.account.failed_logins == 0


@pytest.mark.parametrize(("login", "fault_status"), [("digest", 400), ("token", 500), ("either", 400)])
async def test_a_wrong_password_costs_one_failed_login(tmp_path: Path, login: Any, fault_status: int) -> None:
    quirks = OnvifQuirks(login=login, fault_status=fault_status)
    async with recorded(tmp_path, [[]], quirks, password="wrong") as (simulator, driver):
        causes = []
        for question in (driver.identity(), driver.channels(), driver.footage("1", NOON - DAY, NOON)):
            with pytest.raises(RecorderError) as error:
                await question
            causes.append(error.value.cause)
        assert causes == ["unauthorized", "credentials_held", "credentials_held"]
        assert simulator.account.failed_logins == 1
        assert abs(await driver.clock_offset()) <= 0.5, "the clock is told to everyone"


@pytest.mark.parametrize("after", ["channels", "identity"])
async def test_a_password_that_is_changed_costs_two_failed_logins_at_most(tmp_path: Path, after: str) -> None:
    """A refusal of what was answered before is one; of anything else, a question that everyone may ask decides."""
    async with recorded(tmp_path, [whole_days(2)], OnvifQuirks(login="token"), rude_logins=1) as (simulator, driver):
        await getattr(driver, after)()
        simulator.change_password("another")
        for question in (driver.channels(), driver.playback("1", NOON, 10), driver.identity()):
            with pytest.raises(RecorderError) as error:
                await question
            assert error.value.cause in {"unauthorized", "credentials_held"}
        assert simulator.account.failed_logins <= 2


async def test_the_password_never_leaves_and_no_login_is_used_twice(tmp_path: Path) -> None:
    async with recorded(tmp_path, [whole_days(1)], OnvifQuirks(login="token")) as (simulator, driver):
        await driver.channels()
        await driver.footage("1", NOON - DAY, NOON)
        shown = str(driver.exchanges)
        assert "Cradle-2026" not in shown
        assert "UsernameToken" not in shown
        assert simulator.account.good_logins == len(simulator._nonces)


@pytest.mark.parametrize("channel", ["", "gate", "</tt:RecordingToken>", "x" * 500])
async def test_a_channel_that_is_no_recording_is_not_found(tmp_path: Path, channel: str) -> None:
    async with recorded(tmp_path, [[]]) as (_, driver):
        for question in (driver.footage(channel, 0, 1), driver.earliest(channel), driver.latest(channel)):
            with pytest.raises(RecorderError, match="set `channel`") as error:
                await question
            assert error.value.cause == "not_found"
        with pytest.raises(RecorderError):
            await driver.playback(channel, NOON, 10)


@pytest.mark.parametrize("seed", range(3))
async def test_any_index_is_read_as_it_is(tmp_path: Path, seed: int) -> None:
    """Random gaps, overlaps and manners of the unit, read over the wire: every span equal."""
    chance = random.Random(seed)
    segments, at = [], NOON - 70 * DAY
    while at < NOON - HOUR:
        length = chance.choice([10 * MINUTE, HOUR, 3 * HOUR, DAY])
        if chance.random() < 0.93:
            segments.append(Segment(at / 1000, min(NOON, at + length) / 1000))
        at += length + chance.choice([0, 0, 0, 1000, -5000, MINUTE, 12 * DAY if chance.random() < 0.02 else 0])
    quirks = OnvifQuirks(
        page_size=chance.choice([9, 100]), login=chance.choice(["digest", "token", "none"]), slow_polls=seed % 2
    )
    offset = chance.choice([0, -4000, 90])
    stamped = [Segment(one.start - offset, one.end - offset, clock_offset_seconds=offset) for one in segments]
    async with recorded(tmp_path, [stamped], quirks, clock_offset_seconds=offset, seed=seed) as (_, driver):
        footage = await driver.footage("1", NOON - 65 * DAY, NOON)
    assert footage.spans == spans_of(segments).clip(NOON - 65 * DAY, NOON + 1000 * min(0, offset))


@pytest.mark.parametrize("challenge", [(("WWW-Authenticate", 'Basic realm="ONVIF"'),), ()])
async def test_where_http_offers_no_safe_login_it_goes_inside_the_message(
    tmp_path: Path, challenge: tuple[tuple[str, str], ...]
) -> None:
    """The password itself is never sent, and a refusal by HTTP of such a login is final too."""
    refusing = False

    def answer(asked: Asked) -> Reply:
        if b"GetSystemDateAndTime" in asked.body:
            return Reply(200, (FIXTURES / "date_and_time.xml").read_bytes())
        signed = b"PasswordDigest" in asked.body
        return (
            Reply(200, (FIXTURES / "device_information.xml").read_bytes())
            if signed and not refusing
            else Reply(401, b"", challenge)
        )

    async with serving(answer) as server:
        driver = Onvif(recorder_settings(tmp_path, server.url, driver="onvif", clock=ManualClock(NOW)))
        for _ in range(2):
            assert (await driver.identity()).model == "NVR302-16S2"
        refusing = True
        for cause in ("unauthorized", "credentials_held"):
            with pytest.raises(RecorderError) as error:
                await driver.identity()
            assert error.value.cause == cause
        await driver.close()
    assert [b"PasswordDigest" in one.body for one in server.asked] == [False, False, True, True, True]
    assert not any(one.has_credentials or PASSWORD.encode() in one.body for one in server.asked)
