"""The contract of all drivers: the same questions, the same promises, whatever the make."""

import asyncio
import dataclasses
import random
import time
import tracemalloc
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from agents.recorders.base import (
    AlarmInput,
    Channel,
    Disk,
    FaultNotices,
    FilePlayback,
    Footage,
    Identity,
    NotOffered,
    Recorder,
    RecorderError,
    RecordingMode,
    StreamPlayback,
    TimeSync,
)
from agents.recorders.http import MAX_BODY_BYTES
from agents.recorders.registry import DRIVERS
from agents.rtsp.address import AddressBook
from agents.rtsp.client import open_stream
from agents.rtsp.request import Login, StreamRequest
from agents.simulators.camera import Camera
from agents.simulators.footage import Footage as Held
from agents.simulators.footage import Segment
from agents.simulators.recorder import AlarmInput as Wired
from agents.simulators.recorder import Channel as Input
from agents.simulators.recorder import Disk as Drive
from agents.simulators.recorder import RecorderState
from agents.simulators.webserver import Request, Response
from monitor.model.clock import ManualClock, SystemClock
from monitor.model.span import DAY, HOUR, MINUTE, Millis, Spans, to_millis
from support.random_recorder import random_recorder, shifted
from support.recorder_http import NOW, Handler, Reply, recorder_settings, serving
from support.recorder_rigs import RIGS, Rig, driver_of, running
from support.replies import at_the_level_of_replies

NOON = to_millis(NOW)
by_make = pytest.mark.parametrize("rig", RIGS, ids=lambda rig: rig.driver)

QUESTIONS: dict[str, Callable[[Recorder], Awaitable[Any]]] = {
    "identity": lambda one: one.identity(),
    "channels": lambda one: one.channels(),
    "disks": lambda one: one.disks(),
    "clock_offset": lambda one: one.clock_offset(),
    "footage": lambda one: one.footage("1", NOON - 5 * DAY, NOON),
    "earliest": lambda one: one.earliest("1"),
    "latest": lambda one: one.latest("1"),
    "recording_modes": lambda one: one.recording_modes(),
    "expiry_days": lambda one: one.expiry_days(),
    "time_sync": lambda one: one.time_sync(),
    "alarm_inputs": lambda one: one.alarm_inputs(),
    "fault_notices": lambda one: one.fault_notices(),
    "storage_mode": lambda one: one.storage_mode(),
    "playback": lambda one: one.playback("1", NOON - HOUR, 10),
}
OPTIONAL = {"recording_modes", "expiry_days", "time_sync", "alarm_inputs", "fault_notices", "storage_mode"}


def hours(count: int, until: Millis = NOON) -> list[Segment]:
    """Return the files of the last hours, each an hour long."""
    return [Segment((at - HOUR) / 1000, at / 1000) for at in range(until, until - count * HOUR, -HOUR)]


def recorder(*channels: list[Segment], **changes: Any) -> RecorderState:
    """Return a recorder at noon with these files by channel, from 1 on."""
    inputs = [
        Input(number, f"camera {number}", Camera(number), Held(files, lag_seconds=0), live=False)
        for number, files in enumerate(channels or (hours(6 * 24), []), start=1)
    ]
    values: dict[str, Any] = {
        "disks": [Drive(1), Drive(2, status="error"), Drive(3, 0, status="notexist")],
        "alarm_inputs": [Wired(1, "红外", armed=True, active=False), Wired(2, "门", armed=False, active=True)],
        "now": NOW.timestamp,
    }
    return RecorderState(inputs, **{**values, **changes})


async def asked(question: str, driver: Recorder) -> Any:
    """Return the answer, or NotOffered itself."""
    try:
        return await QUESTIONS[question](driver)
    except NotOffered as error:
        return error


# Every question has an answer, or is not offered.


@by_make
async def test_what_the_recorder_says_of_itself(rig: Rig, tmp_path: Path) -> None:
    state = recorder()
    async with running(rig, state, tmp_path, ManualClock(NOW)) as (_, driver):
        identity = await driver.identity()
        assert (identity.model, identity.serial) == (state.model, state.serial)
        assert state.firmware in identity.firmware
        assert abs(await driver.clock_offset()) <= 0.5
        disks = await asked("disks", driver)
        assert isinstance(disks, NotOffered) is ("disks" in rig.lacks)
        assert isinstance(disks, NotOffered) or [(one.state, one.capacity_bytes) for one in disks] == [
            ("ok", 7_630_885 * 2**20),
            ("failed", 7_630_885 * 2**20),
        ]


@by_make
async def test_channels_are_those_in_use_with_their_state_and_camera(rig: Rig, tmp_path: Path) -> None:
    state = recorder()
    state.channels[1].online = False
    state.channels[0].camera_serial = "CAMERA-SERIAL-1"
    async with running(rig, state, tmp_path, ManualClock(NOW)) as (_, driver):
        channels = await driver.channels()
        online = (None, None) if "online" in rig.lacks else (True, False)
        assert [(one.id, one.name, one.online) for one in channels] == [
            ("1", "camera 1", online[0]),
            ("2", "camera 2", online[1]),
        ]
        behind = channels[0].behind
        assert behind is None or "CAMERA-SERIAL-1" in {behind.identity, behind.serial} or not behind.serial


@by_make
async def test_what_not_every_make_offers_is_answered_or_not_offered(rig: Rig, tmp_path: Path) -> None:
    state = recorder()
    state.channels[1].schedule_enabled = False
    state.mail_to, state.storage_mode = "director@example.com", "group"
    truth: dict[str, Any] = {
        "recording_modes": {"1": RecordingMode("continuous"), "2": RecordingMode("none", ((0, 7 * 24 * 60),))},
        "expiry_days": {str(number): None for number in range(1, 17)},
        "time_sync": TimeSync(enabled=True, has_server=True),
        "alarm_inputs": (AlarmInput("1", "红外", True, False), AlarmInput("2", "门", False, True)),
        "fault_notices": FaultNotices(("diskerror",), mail=True),
        "storage_mode": "group",
    }
    async with running(rig, state, tmp_path, ManualClock(NOW)) as (_, driver):
        for question in OPTIONAL:
            answer = await asked(question, driver)
            assert isinstance(answer, NotOffered) is (question not in rig.offers), question
            if question == "expiry_days" and not isinstance(answer, NotOffered):
                assert answer.items() <= truth[question].items()  # some makes tell it of empty slots too
            else:
                assert isinstance(answer, NotOffered) or answer == truth[question]


@by_make
async def test_a_clock_set_by_hand_has_no_time_server(rig: Rig, tmp_path: Path) -> None:
    async with running(rig, recorder(ntp_server=""), tmp_path, ManualClock(NOW)) as (_, driver):
        assert (
            await asked("time_sync", driver) == TimeSync(enabled=False, has_server=False)
            or "time_sync" not in rig.offers
        )


@by_make
async def test_ways_to_a_stream_and_to_a_recording_carry_no_login(rig: Rig, tmp_path: Path) -> None:
    async with running(rig, recorder(), tmp_path, ManualClock(NOW)) as (simulator, driver):
        for main in (True, False):
            url = driver.stream_url("2", main=main)
            assert url is None or url == simulator.rtsp_url(2, "main" if main else "sub")
        request = await asked("playback", driver)
        assert isinstance(request, StreamPlayback | NotOffered)
        if isinstance(request, StreamPlayback):
            assert request.url.startswith(f"rtsp://{simulator.rtsp.address}/")
            assert simulator.state.password not in request.url


@by_make
async def test_the_way_to_a_stream_leads_to_a_playing_one(rig: Rig, tmp_path: Path) -> None:
    clock = SystemClock()
    state = recorder(now=time.time)
    async with running(rig, state, tmp_path, clock) as (_, driver):
        await driver.channels()  # some makes tell it with their channels
        url = driver.stream_url("2", main=False)
        assert url is not None
        request = StreamRequest(url, Login(state.username, state.password))
        settings = recorder_settings(tmp_path, clock=clock)
        assert isinstance(settings.addresses, AddressBook)
        stream = await open_stream(request, settings.addresses, clock=clock)
        try:
            assert await stream.batch()
        finally:
            await stream.close()


async def test_drivers_of_no_device_answer_what_they_can(tmp_path: Path) -> None:
    """Files on disk, and a recorder that no program can read."""
    folder = tmp_path / "1"
    folder.mkdir()
    options = {"files": {"path": f"{tmp_path}/{{camera}}/%Y%m%d%H%M%S.mp4"}, "attested": {}}
    offered = {"files": {"channels", "disks", "footage", "earliest", "latest"}, "attested": set()}
    for name, given in options.items():
        driver = DRIVERS[name](recorder_settings(tmp_path, driver=name, options=given, clock=ManualClock(NOW)))
        answered = {question: await _answer(question, driver) for question in QUESTIONS}
        await driver.close()
        assert {question for question, answer in answered.items() if not isinstance(answer, RecorderError)} == offered[
            name
        ]
        assert driver.stream_url("1", main=True) is None
        refusals = {question: one for question, one in answered.items() if isinstance(one, RecorderError)}
        assert all(isinstance(one, NotOffered) for question, one in refusals.items() if question != "playback")
        assert refusals["playback"].cause in {"not_found", "not_offered"}


async def _answer(question: str, driver: Recorder) -> Any:
    try:
        return await QUESTIONS[question](driver)
    except RecorderError as error:
        return error


# Footage is what the recorder holds, to the second.


@by_make
@pytest.mark.parametrize("seed", range(5))
async def test_any_index_is_read_as_it_is(rig: Rig, tmp_path: Path, seed: int) -> None:
    made = random_recorder(seed, NOON, NOW.timestamp, most_days=15)
    start = NOON - (made.days + 2) * DAY
    end = NOON + DAY
    async with running(rig, made.state, tmp_path, ManualClock(NOW)) as (_, driver):
        assert abs(await driver.clock_offset() - made.offset_seconds) <= 0.5
        for channel in made.held:
            footage = await driver.footage(channel, start, end)
            assert footage.window == (start, end)
            held, locked = made.held[channel], made.locked[channel]
            if "locks" in rig.lacks:
                held, locked = held.union(locked), Spans.empty()
            assert footage.spans == shifted(held, made.offset_seconds)
            assert footage.locked == shifted(locked, made.offset_seconds)


@by_make
async def test_a_window_cuts_what_reaches_over_its_edges(rig: Rig, tmp_path: Path) -> None:
    async with running(rig, recorder(hours(30)), tmp_path, ManualClock(NOW)) as (_, driver):
        footage = await driver.footage("1", NOON - 90 * MINUTE, NOON - 30 * MINUTE)
        assert footage.spans == Spans.window(NOON - 90 * MINUTE, NOON - 30 * MINUTE)
        assert (await driver.footage("1", NOON, NOON)).spans == Spans.empty()


@by_make
async def test_the_edges_of_the_index(rig: Rig, tmp_path: Path) -> None:
    async with running(rig, recorder(hours(70 * 24), []), tmp_path, ManualClock(NOW)) as (_, driver):
        assert await driver.earliest("1") == NOON - 70 * DAY
        assert await driver.latest("1") == NOON
        assert await driver.earliest("2") is None
        assert await driver.latest("2") is None
        assert (await driver.footage("2", NOON - 91 * DAY, NOON)).spans == Spans.empty()


@by_make
async def test_progress_never_falls_and_comes_to_its_end(rig: Rig, tmp_path: Path) -> None:
    told: list[float] = []
    async with running(rig, recorder(), tmp_path, ManualClock(NOW)) as (_, driver):
        await driver.footage("1", NOON - 60 * DAY, NOON, told.append)
    assert told == sorted(told)
    assert told[-1] == 1.0


@by_make
async def test_a_channel_that_is_none_of_the_makers_is_not_asked_for(rig: Rig, tmp_path: Path) -> None:
    async with running(rig, recorder(), tmp_path, ManualClock(NOW)) as (simulator, driver):
        with pytest.raises(RecorderError):
            await driver.footage("1/../2", NOON - HOUR, NOON)
        assert simulator.search_stats()["searches"] == 0


# Logins, rights and limits.


@by_make
async def test_a_wrong_password_costs_one_failed_login_whatever_is_asked(rig: Rig, tmp_path: Path) -> None:
    async with running(rig, recorder(), tmp_path, ManualClock(NOW), password="wrong") as (simulator, driver):
        for question in QUESTIONS:
            answer = await _answer(question, driver)
            assert not isinstance(answer, RecorderError) or answer.cause in {
                "unauthorized",
                "credentials_held",
                "not_offered",
            }
        again = driver_of(rig, simulator, tmp_path, ManualClock(NOW), password="wrong")
        results = await asyncio.gather(*(_answer(question, again) for question in QUESTIONS))
        await again.close()
        assert all(isinstance(one, RecorderError | StreamPlayback | float) for one in results)
        assert simulator.account.failed_logins == 1


@by_make
async def test_a_missing_right_names_the_makers_menu_and_is_no_empty_index(rig: Rig, tmp_path: Path) -> None:
    async with running(rig, recorder(), tmp_path, ManualClock(NOW)) as (simulator, driver):
        rig.forbid_search(simulator)
        with pytest.raises(RecorderError) as error:
            await driver.footage("1", NOON - HOUR, NOON)
        assert error.value.detail == rig.refusal.format(user=simulator.state.username, host="127.0.0.1")
        assert error.value.cause == "not_permitted"
        assert error.value.asked
        assert (await driver.identity()).model == simulator.state.model


NO_DIGEST = "127.0.0.1 offers no safe login (digest with MD5 or SHA-256): choose digest {}."
BUSY = "127.0.0.1 is busy, and is asked again later; others may hold all its sessions: {}."
INSIDE = (
    "127.0.0.1 refused the login of compliance: check the user name and password, and that this user may log in remotely; "
    "it isn't tried again by itself before tomorrow."
)
ONLINE_USERS = "its list of online users shows them"
MENUS = {
    "hikvision": (
        "under System > Security > Authentication > WEB Authentication (on the recorder's own screen System > System Service)",
        "System > User Management > Online Users shows them",
    ),
    "dahua": (
        "under System > Security > System Service, and switch CGI Service on there",
        "Info > Online Users shows them, and Network > Port > Max Connection limits them",
    ),
    "uniview": ("in its security menu (System > Security)", ONLINE_USERS),
    "onvif": ("", ONLINE_USERS),
}


@by_make
@pytest.mark.parametrize("which", ["digest switched off", "sessions used up"])
async def test_what_a_person_must_change_is_named_by_the_makers_menu(rig: Rig, tmp_path: Path, which: str) -> None:
    digest, sessions = MENUS[rig.driver]
    reply, told = Reply(503), ("recorder_full", BUSY.format(sessions))
    if which == "digest switched off" and rig.driver == "onvif":
        told = ("unauthorized", INSIDE)  # its logins may stand inside the messages: this one was refused
        reply = Reply(401, headers=(("WWW-Authenticate", 'Basic realm="x"'),))
    elif which == "digest switched off":
        reply = Reply(401, headers=(("WWW-Authenticate", 'Basic realm="x"'),))
        told = ("recorder", NO_DIGEST.format(digest))
    async with serving(lambda _: reply) as server:
        settings = recorder_settings(tmp_path, server.url, driver=rig.driver, clock=ManualClock(NOW))
        driver = DRIVERS[rig.driver](settings)
        with pytest.raises(RecorderError) as error:
            await driver.identity()
        await driver.close()
    assert (error.value.cause, error.value.detail) == told


@by_make
async def test_searches_of_many_channels_never_run_at_once(rig: Rig, tmp_path: Path) -> None:
    async with running(rig, recorder(*(hours(60) for _ in range(4))), tmp_path, ManualClock(NOW)) as (_, driver):
        work = [driver.footage(str(one), NOON - 2 * DAY, NOON) for one in range(1, 5)]
        found = await asyncio.gather(*work, driver.earliest("1"), driver.latest("2"), driver.channels())
        assert {one.spans.total() for one in found if isinstance(one, Footage)} == {2 * DAY}


@by_make
async def test_a_search_that_is_given_up_leaves_nothing_behind(rig: Rig, tmp_path: Path) -> None:
    async with running(rig, recorder(hours(80 * 24)), tmp_path, ManualClock(NOW)) as (simulator, driver):
        for after in range(1, 14, 3):
            begun = sum(simulator.requests.values())
            work = asyncio.create_task(driver.footage("1", NOON - 80 * DAY, NOON))
            while sum(simulator.requests.values()) < begun + after and not work.done():  # noqa: ASYNC110  (it tells nobody)
                await asyncio.sleep(0)
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
        assert (await driver.footage("1", NOON - DAY, NOON)).spans.total() == DAY


@by_make
@pytest.mark.parametrize("death", ["die", "change_password"])
async def test_what_goes_wrong_in_the_middle_is_an_error_and_never_a_part(rig: Rig, death: str, tmp_path: Path) -> None:
    async with running(rig, recorder(hours(70 * 24)), tmp_path, ManualClock(NOW)) as (simulator, driver):
        pending: list[Any] = []

        def at_half(share: float) -> None:
            if share >= 0.5 and not pending:
                pending.append(
                    asyncio.ensure_future(simulator.die()) if death == "die" else simulator.change_password("x")
                )

        with pytest.raises(RecorderError) as error:
            await driver.footage("1", NOON - 70 * DAY, NOON, at_half)
        assert error.value.cause in {"refused", "no_connection", "unauthorized", "timeout"}
        assert simulator.account.failed_logins <= 2  # one under a used nonce, which says nothing, and one for certain


# Whatever is answered: a value or RecorderError.

BOMB = b'<?xml version="1.0"?><!DOCTYPE b [<!ENTITY a "aaaaaaaaaa">' + b"".join(
    b'<!ENTITY %c "&%c;&%c;&%c;&%c;&%c;">' % (98 + n, *[97 + n] * 5) for n in range(20)
) + b"]><b>&u;</b>"  # fmt: skip
HOSTILE = {
    "empty": b"",
    "bytes": bytes(range(256)) * 8,
    "huge": b"x" * (5 << 20),
    "xml_bomb": BOMB,
    "xml_deep": b"<a>" * 100_000,
    "xml_wide": b"<a>" + b"<b/>" * 400_000 + b"</a>",
    "keys": b"a=1\r\n" * 200_000,
    "rows": b"found=999999999\r\nitems[999999999].Channel=0\r\n",
    "json_deep": b"[" * 200_000,
    "json_wide": b'{"a":[' + b"0," * 1_000_000 + b"0]}",
    "number": b'{"Response":{"ResponseCode":0,"Data":' + b"9" * 100_000 + b"}}",
    "html": b"<html><body>Welcome</body></html>",
}


def ever(body: bytes) -> Handler:
    return lambda _: Reply(200, body)


@by_make
@pytest.mark.parametrize("name", HOSTILE)
async def test_hostile_answers_are_errors_soon(rig: Rig, name: str, tmp_path: Path) -> None:
    async with serving(ever(HOSTILE[name])) as server:
        settings = recorder_settings(tmp_path, server.url, driver=rig.driver, clock=ManualClock(NOW))
        driver = DRIVERS[rig.driver](settings)
        for question in QUESTIONS:
            async with asyncio.timeout(5):
                answer = await _answer(question, driver)
            assert isinstance(answer, RecorderError) or question == "playback", question
        await driver.close()


MANY = {
    "elements": b"<a>" + b"<b/>" * 900_000 + b"</a>",
    "keys": b"".join(b"list.info[%d].Name=x\r\n" % (number % 4000) for number in range(170_000)),
    "values": b'{"Response":{"ResponseCode":0,"Data":{"Nums":1,"DetailInfos":[' + b"{}," * 1_300_000 + b"{}]}}}",
}


@by_make
@pytest.mark.parametrize("name", MANY)
async def test_the_largest_answers_take_little_memory(rig: Rig, name: str, tmp_path: Path) -> None:
    """Just below what is read of an answer at all: refused before anything is built of it."""
    assert len(MANY[name]) < MAX_BODY_BYTES
    async with serving(ever(MANY[name])) as server:
        driver = DRIVERS[rig.driver](recorder_settings(tmp_path, server.url, driver=rig.driver, clock=ManualClock(NOW)))
        tracemalloc.start()
        try:
            for question in ("channels", "footage"):
                assert isinstance(await _answer(question, driver), RecorderError)
            assert tracemalloc.get_traced_memory()[1] < 100 << 20
        finally:
            tracemalloc.stop()
        await driver.close()


@by_make
async def test_a_busy_recorder_is_full_and_soon_left_alone(rig: Rig, tmp_path: Path) -> None:
    async with serving(lambda _: Reply(503)) as server:
        driver = DRIVERS[rig.driver](recorder_settings(tmp_path, server.url, driver=rig.driver, clock=ManualClock(NOW)))
        for question in QUESTIONS:
            answer = await _answer(question, driver)
            assert isinstance(answer, NotOffered | StreamPlayback) or answer.cause == "recorder_full", question
        await driver.close()
    assert len(server.asked) <= 3 * len(QUESTIONS)


def cut(body: bytes, chance: random.Random) -> bytes:
    return body[: chance.randrange(len(body))] if body else b"?"


def blotted(body: bytes, chance: random.Random) -> bytes:
    changed = bytearray(body or b"?")
    for _ in range(3):
        changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed)


def replaced(body: bytes, chance: random.Random) -> bytes:
    return HOSTILE[chance.choice(["empty", "bytes", "rows", "html"])]


class Spoiler:
    """Stands before a simulator's answers and spoils one of them."""

    def __init__(self, simulator: Any, at: int, spoil: Callable[[bytes, random.Random], bytes], seed: int) -> None:
        self.answer, self.at, self.spoil, self.chance, self.count = (
            simulator.web.handler,
            at,
            spoil,
            random.Random(seed),
            0,
        )
        simulator.web.handler = self.handle

    async def handle(self, request: Request) -> Response:
        response: Response = await self.answer(request)
        if response.status == 401:
            return response
        self.count += 1
        if self.count != self.at or response.status != 200:
            return response
        return dataclasses.replace(response, body=self.spoil(response.body, self.chance))


@by_make
@pytest.mark.parametrize("spoil", [cut, replaced], ids=lambda spoil: spoil.__name__)
async def test_one_spoilt_answer_is_an_error_or_makes_no_difference(
    rig: Rig, spoil: Callable[[bytes, random.Random], bytes], tmp_path: Path
) -> None:
    """Each answer of a scan in turn is cut off or exchanged: the footage is right, or unknown, and never something else."""
    files, now = hours(7 * 24), ManualClock(NOW)
    for at in range(1, 12):
        simulator = rig.simulator(recorder(files))
        Spoiler(simulator, at, spoil, seed=at)
        driver = driver_of(rig, simulator, tmp_path, now)
        at_the_level_of_replies(driver, simulator, now)
        answer = await _answer("footage", driver)
        await driver.close()
        if isinstance(answer, RecorderError):
            assert answer.cause in {"recorder", "recorder_full", "not_offered"}
        else:
            assert answer.spans == Spans.window(NOON - 5 * DAY, NOON)


@by_make
@pytest.mark.parametrize("question", [name for name in QUESTIONS if name not in {"footage", "playback"}])
async def test_an_answer_with_blots_is_a_value_or_an_error(rig: Rig, question: str, tmp_path: Path) -> None:
    simulator = rig.simulator(recorder())
    answer = simulator.web.handler
    driver = driver_of(rig, simulator, tmp_path, ManualClock(NOW))
    at_the_level_of_replies(driver, simulator, ManualClock(NOW))
    for seed in range(30):
        simulator.web.handler = answer
        Spoiler(simulator, 1 + seed % 3, blotted, seed)
        await _answer(question, driver)  # raises anything but RecorderError
    await driver.close()


@by_make
async def test_what_people_are_told_names_the_request_and_no_secret(rig: Rig, tmp_path: Path) -> None:
    state = recorder(password="Geheim-9")
    async with running(rig, state, tmp_path, ManualClock(NOW)) as (_, driver):
        for question in QUESTIONS:
            await asked(question, driver)
        texts = " ".join(f"{one.asked} {one.answered}" for one in driver.exchanges)
    assert "Geheim-9" not in texts
    assert "Camera-Secret-9" not in texts
    assert len(driver.exchanges) > 5


def test_every_make_is_in_the_registry() -> None:
    assert {rig.driver for rig in RIGS} <= set(DRIVERS)


@by_make
async def test_an_institution_elsewhere_changes_nothing(rig: Rig, tmp_path: Path) -> None:
    """The recorder's own zone counts, not the institution's."""
    async with running(rig, recorder(), tmp_path, ManualClock(NOW), timezone=ZoneInfo("America/New_York")) as (
        _,
        driver,
    ):
        assert abs(await driver.clock_offset()) <= 0.5
        assert (await driver.footage("1", NOON - DAY, NOON)).spans == Spans.window(NOON - DAY, NOON)


ANSWERS = {
    "identity": Identity,
    "channels": tuple,
    "disks": tuple,
    "clock_offset": float,
    "footage": Footage,
    "earliest": int,
}


@by_make
async def test_answers_are_of_the_ports_types(rig: Rig, tmp_path: Path) -> None:
    async with running(rig, recorder(), tmp_path, ManualClock(NOW)) as (_, driver):
        for question, kind in ANSWERS.items():
            if question in rig.lacks:
                continue
            answer = await asked(question, driver)
            assert isinstance(answer, kind), question
        assert all(isinstance(one, Channel) for one in await driver.channels())
        assert "disks" in rig.lacks or all(isinstance(one, Disk) for one in await driver.disks())
        assert isinstance(await driver.playback("1", NOON - HOUR, 10), StreamPlayback | FilePlayback)


# Logins.


@by_make
@pytest.mark.parametrize("nonces", ["kept", "once", "expire"])
async def test_a_round_of_questions_keeps_the_manners_of_logins(rig: Rig, tmp_path: Path, nonces: str) -> None:
    """Nonces for one use cost one failed login in a process, those that ran out none; neither is a repeated refusal."""
    clock = ManualClock(NOW)
    async with running(rig, recorder(nonces_once=nonces == "once"), tmp_path, clock) as (simulator, driver):
        for _ in range(3):
            await driver.channels()
            clock.advance(10)
            if nonces == "expire":
                simulator.door.expire_nonces()
            await driver.footage("1", NOON - 2 * DAY, NOON)
        stats = simulator.stats()
    assert stats["failed_logins"] <= (nonces == "once")
    challenges = sum(count for kind, count in stats.items() if kind.startswith("http_401"))
    asked = sum(count for kind, count in stats.items() if kind.startswith("http_")) - challenges
    assert challenges <= {"kept": 1, "expire": 7, "once": asked + 1}[nonces]


@by_make
async def test_a_password_that_is_changed_in_a_round_costs_two_failed_logins_at_most(rig: Rig, tmp_path: Path) -> None:
    async with running(rig, recorder(), tmp_path, ManualClock(NOW)) as (simulator, driver):
        await driver.footage("1", NOON - 2 * DAY, NOON)
        simulator.change_password("another")
        for _ in range(3):
            with pytest.raises(RecorderError):
                await driver.footage("1", NOON - 2 * DAY, NOON)
        assert 1 <= simulator.stats()["failed_logins"] <= 2
