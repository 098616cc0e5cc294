"""Proof by decoding: every make's own playback over real sockets, real files, and what each way to fail means."""

from __future__ import annotations

import dataclasses
import ipaddress
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import pytest_asyncio

from agents.breaker import Breaker
from agents.recorders.base import Recorder, StreamPlayback
from agents.recorders.registry import DRIVERS
from agents.rtsp.address import AddressBook
from agents.rtsp.client import open_stream
from agents.rtsp.request import Deadlines, Login, Playback, StreamRequest
from agents.rtsp.stream import Stream
from agents.scan.beside import Dated
from agents.scan.minute import Minute, stamped
from agents.scan.playing import Player
from agents.scan.proof import OVERWRITTEN, Prover
from agents.scan.recorder import Channelled
from agents.simulators.camera import Camera, Format
from agents.simulators.footage import Footage, Segment
from agents.simulators.recorder import Channel, RecorderState, Unplayable
from agents.simulators.scenes import Scene
from agents.watch.decoder import Decoder
from monitor.model.clock import ManualClock, SystemClock
from monitor.model.clock_offsets import Offset
from monitor.model.observation import Kind, Observation, Subject
from monitor.model.proof import read_proof
from monitor.model.span import DAY, HOUR, SECOND, Millis, to_millis
from support.parts import require
from support.pictures import encoded
from support.recorder_http import NOW, recorder_settings
from support.recorder_rigs import RIGS, Rig, running

NOON = to_millis(NOW)
MAIN = Format(320, 240, 5, gop_seconds=0.6)
LOOPBACK = AddressBook([ipaddress.ip_network("127.0.0.0/8")])
DEADLINES = Deadlines(connect=10, answer=10, total=20, first_frame=1.0, stall=1.0)
AHEAD = 90.0
"""Seconds by which the recorder's clock is fast."""
FAR = NOON - 10 * DAY
by_make = pytest.mark.parametrize("rig", RIGS, ids=lambda rig: rig.driver)

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("proof")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def decoder() -> AsyncIterator[Decoder]:
    """Give one decoder to all tests here: its start costs a second."""
    made = Decoder(look_seconds=30.0, turn_seconds=60.0)
    yield made
    await made.close()


async def view_of(decoder: Decoder, seed: str) -> Dated:
    """Return the approved view of the camera whose scene this is, approved long ago."""
    scene = Scene(seed, width=MAIN.width, height=MAIN.height, name=seed, figures=1)
    keyframe = encoded(lambda at: scene.room(at, UTC), MAIN.width, MAIN.height, looks=1)[0]
    looked = await decoder.look(f"approved/{seed}", "h264", keyframe)
    return Dated(looked.view, 0)


def state(**changes: Any) -> RecorderState:
    """Return a recorder with two cameras and twelve days of footage each, its clock fast since ever."""
    days = [
        Segment((NOON - n * DAY) / 1000, (NOON - (n - 1) * DAY) / 1000, clock_offset_seconds=AHEAD)
        for n in range(12, 0, -1)
    ]
    channels = [
        Channel(n, name, Camera(name, name=name, figures=1), Footage(days, lag_seconds=0), live=False)
        for n, name in ((1, "gate"), (2, "room"))
    ]
    made = RecorderState(channels, now=NOW.timestamp, clock_offset_seconds=AHEAD, playback_speed=20.0)
    return dataclasses.replace(made, **changes)


def minute(at: Millis) -> Minute:
    return Minute(at, stamped(at, [Offset(0, NOON - DAY, round(AHEAD * SECOND))]))


def small(rig: Rig) -> Rig:
    """Return the rig with small pictures and no waiting."""
    make = rig.simulator

    def simulator(state: RecorderState) -> Any:
        made = make(state)
        made.rtsp.recordings.form = MAIN
        return made

    return dataclasses.replace(rig, simulator=simulator)


@asynccontextmanager
async def proving(
    rig: Rig, state: RecorderState, folder: Path, decoder: Decoder, views: dict[str, list[Dated]] | None = None
) -> AsyncIterator[tuple[Any, Prover, list[Observation]]]:
    """Run a recorder, and a prover that asks it; in the end the recorder says whether it kept its manners."""
    clock = SystemClock()
    async with running(small(rig), state, folder, ManualClock(NOW)) as (simulator, driver):
        breaker = Breaker(folder / "rtsp.sqlite", clock)
        login = Login(state.username, state.password)

        async def opened(wanted: StreamPlayback) -> Stream:
            playback = Playback(wanted.range, wanted.headers)
            request = StreamRequest(wanted.url, login, aside=True, playback=playback)
            return await open_stream(request, LOOPBACK, DEADLINES, clock=clock, breaker=breaker)

        seen: list[Observation] = []
        zone = ZoneInfo(state.timezone)
        prover = Prover(driver, Player(opened, decoder, clock, zone), seen.append, lambda: views or {})
        try:
            yield simulator, prover, seen
        finally:
            breaker.close()
        stats = simulator.stats()
        assert not stats["concurrent_playbacks"], "one channel at a time"
        assert stats["sessions"] == 0, "every session is given back"


GATE = Channelled("gate", "1")


@by_make
async def test_the_minute_is_played_and_shows_the_approved_view(rig: Rig, tmp_path: Path, decoder: Decoder) -> None:
    views = {"gate": [await view_of(decoder, "gate")], "room": [await view_of(decoder, "room")]}
    async with proving(rig, state(), tmp_path, decoder, views) as (simulator, prover, seen):
        outcome = await prover.prove(GATE, minute(FAR), minute(NOON - DAY))
        played = simulator.stats()
    assert outcome.state == "played", outcome
    (said,) = seen
    assert said.kind is Kind.PROOF
    assert said.subject == Subject(kind="camera", id="gate")
    assert said.facts["view"] == "matches"
    assert said.facts["minute_at"] == FAR
    assert (said.facts["width"], said.facts["height"], said.facts["codec"]) == (320, 240, "h264")
    assert str(said.facts["fingerprint"]).startswith("view:")
    told = {"hikvision": ("plausible", "range"), "onvif": ("plausible", "picture")}.get(rig.driver, ("unknown", None))
    assert (said.facts["time"], said.facts["time_told_by"]) == told
    assert read_proof(said) is not None
    assert played["playbacks"] == 1
    assert played["played_pictures"] <= 60, "ten seconds of footage at most"


@pytest.mark.parametrize(
    "rig", [rig for rig in RIGS if rig.driver in {"hikvision", "onvif"}], ids=lambda rig: rig.driver
)
async def test_a_channel_that_records_another_camera_shows(rig: Rig, tmp_path: Path, decoder: Decoder) -> None:
    views = {"gate": [await view_of(decoder, "gate")], "room": [await view_of(decoder, "room")]}
    wrong = state()
    wrong.channels[0].recorded_camera = wrong.channels[1].camera
    async with proving(rig, wrong, tmp_path, decoder, views) as (_, prover, seen):
        await prover.prove(GATE, minute(FAR), None)
    assert [(item.state, item.facts["view"], item.facts["shows"]) for item in seen] == [("played", "other", "room")]


WAYS = [*((rig, Unplayable.MISSING) for rig in RIGS), (RIGS[1], Unplayable.SILENT), (RIGS[2], Unplayable.GARBAGE)]
"""How it fails is the RTSP client's to tell, whatever the make; that there is nothing is said in each make's own way."""


@pytest.mark.parametrize(("rig", "how"), WAYS, ids=lambda item: getattr(item, "driver", item))
async def test_a_minute_that_does_not_play_has_failed_and_a_newer_one_is_tried(
    rig: Rig, how: Unplayable, tmp_path: Path, decoder: Decoder
) -> None:
    broken = state()
    broken.channels[0].unplayable = [((FAR - HOUR) / 1000, (FAR + HOUR) / 1000)]
    broken.channels[0].unplayable_as = how
    async with proving(rig, broken, tmp_path, decoder) as (_, prover, seen):
        outcome = await prover.prove(GATE, minute(FAR), minute(NOON - DAY))
    causes = {Unplayable.MISSING: "not_found", Unplayable.SILENT: "stalled", Unplayable.GARBAGE: "decode_error"}
    assert (outcome.state, outcome.cause) == ("failed", causes[how])
    assert [(item.facts["which"], item.state, item.cause) for item in seen] == [
        ("far", "failed", causes[how]),
        ("newer", "played", None),
    ]


@by_make
async def test_what_was_overwritten_since_is_not_proved(rig: Rig, tmp_path: Path, decoder: Decoder) -> None:
    gone = state()
    gone.channels[0].footage.erase((FAR - DAY) / 1000, (FAR + DAY) / 1000)
    async with proving(rig, gone, tmp_path, decoder) as (_, prover, seen):
        await prover.prove(GATE, minute(FAR), minute(NOON - DAY))
    assert [(item.state, item.cause) for item in seen] == [("not_proved", OVERWRITTEN)]


@pytest.mark.parametrize(
    ("rig", "status", "cause"),
    [*((rig, 401, "unauthorized") for rig in RIGS), (RIGS[0], 403, "not_permitted")],
    ids=lambda item: getattr(item, "driver", str(item)),
)
async def test_a_missing_right_to_play_back_is_asked_for_once_and_holds_no_login(
    rig: Rig, status: int, cause: str, tmp_path: Path, decoder: Decoder
) -> None:
    async with proving(rig, state(playback_status=status), tmp_path, decoder) as (simulator, prover, seen):
        live = StreamRequest(simulator.rtsp_url(1), Login(simulator.state.username, simulator.state.password))
        opened = await prover.player.open(StreamPlayback(live.url))  # the same login watches
        await opened.close()
        outcome = await prover.prove(GATE, minute(FAR), minute(NOON - DAY))
        assert simulator.stats()["playback_refusals"] == 1
        again = await prover.player.open(StreamPlayback(live.url))
        await again.close()
    assert (outcome.state, outcome.cause) == ("not_proved", cause)
    (said,) = seen
    assert "compliance" not in said.detail


@by_make
async def test_a_full_recorder_proves_nothing(rig: Rig, tmp_path: Path, decoder: Decoder) -> None:
    async with proving(rig, state(max_sessions=2), tmp_path, decoder) as (simulator, prover, seen):
        simulator.rtsp.seats.people_come(2)
        await prover.prove(GATE, minute(FAR), minute(NOON - DAY))
        simulator.rtsp.seats.people_go(2)
    assert [(item.state, item.cause) for item in seen] == [("not_proved", "recorder_full")]


# Files.


def film(path: Path, seed: str, start: datetime, seconds: int, *, gop: int = 10) -> None:
    """Write a scene as ffmpeg does, five pictures a second."""
    require("ffmpeg")
    scene = Scene(seed, width=MAIN.width, height=MAIN.height, name=seed, figures=1)
    raw = b"".join(scene.room(start.timestamp() + n / 5, UTC).tobytes() for n in range(seconds * 5))
    path.parent.mkdir(parents=True, exist_ok=True)
    command = [
        "ffmpeg", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", f"{MAIN.width}x{MAIN.height}", "-r", "5",
        "-i", "-", "-c:v", "libx264", "-preset", "ultrafast", "-g", str(gop), "-y", str(path),
    ]  # fmt: skip
    subprocess.run(command, input=raw, check=True, timeout=60)


def files(folder: Path, **more: Any) -> Recorder:
    options = {"path": str(folder / "{camera}/%Y-%m-%d/%H%M%S.mp4"), "path_timezone": "utc"}
    return DRIVERS["files"](
        recorder_settings(folder, "", **{"driver": "files", "options": options, "clock": ManualClock(NOW), **more})
    )


async def prove_file(
    driver: Recorder, decoder: Decoder, at: Millis, views: dict[str, list[Dated]]
) -> list[Observation]:
    seen: list[Observation] = []

    async def never(_: StreamPlayback) -> Stream:
        raise AssertionError("a file needs no stream")

    prover = Prover(driver, Player(never, decoder, SystemClock(), UTC), seen.append, lambda: views)
    await prover.prove(Channelled("gate", "gate"), Minute(at, at), None)
    return seen


async def test_a_file_that_ffmpeg_wrote_is_proved_at_its_instant(tmp_path: Path, decoder: Decoder) -> None:
    start = NOW - timedelta(days=3)
    film(tmp_path / f"gate/{start:%Y-%m-%d}/{start:%H%M%S}.mp4", "gate", start, 30)
    views = {"gate": [await view_of(decoder, "gate")]}
    driver = files(tmp_path)
    seen = await prove_file(driver, decoder, to_millis(start) + 20 * SECOND, views)
    (said,) = seen
    assert (said.state, said.facts["time"], said.facts["time_told_by"]) == ("played", "plausible", "file"), said
    assert said.facts["pictures"] == 2
    assert -2.0 <= float(str(said.facts["off_seconds"])) <= 0.0, "from the keyframe before the instant on"
    assert said.facts["view"] == "matches"
    await driver.close()


async def test_a_file_whose_pictures_are_gone_has_failed_and_one_that_is_gone_is_not_proved(
    tmp_path: Path, decoder: Decoder
) -> None:
    start = NOW - timedelta(days=3)
    path = tmp_path / f"gate/{start:%Y-%m-%d}/{start:%H%M%S}.mp4"
    film(path, "gate", start, 30)
    data = bytearray(path.read_bytes())
    first = data.index(b"mdat") + 8
    last = data.index(b"moov", first) - 8 if b"moov" in data[first:] else len(data)
    data[first:last] = bytes(last - first)
    path.write_bytes(data)
    driver = files(tmp_path)
    (said,) = await prove_file(driver, decoder, to_millis(start) + 20 * SECOND, {})
    assert (said.state, said.cause) == ("failed", "decode_error"), said
    path.unlink()
    (said,) = await prove_file(driver, decoder, to_millis(start) + 20 * SECOND, {})
    assert (said.state, said.cause) == ("not_proved", OVERWRITTEN), said
    await driver.close()


async def test_a_recorder_that_people_read_offers_no_proof(tmp_path: Path, decoder: Decoder) -> None:
    driver = DRIVERS["attested"](recorder_settings(tmp_path, "", driver="attested", clock=ManualClock(NOW)))
    (said,) = await prove_file(driver, decoder, FAR, {})
    assert (said.state, said.cause) == ("not_proved", "not_offered")
