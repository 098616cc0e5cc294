"""What is recorded is looked at for a moment, in the camera's own session; and the ways to a camera that has no sub-stream."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import JsonValue

from agents.simulators.camera import Camera
from agents.simulators.footage import Footage
from agents.simulators.hikvision import HikvisionSimulator
from agents.simulators.onvif import OnvifSimulator
from agents.simulators.recorder import Channel, RecorderState
from monitor.model.observation import Kind, Observation
from monitor.model.span import SECOND
from support.refreshing import begins_late
from support.rtsp_device import Asked, Device, plain_frame, render, serve
from support.site import PASSWORD, behind, nvr, recorder, write_site
from support.watching import PATIENT, QUICK, Watching, watching

pytestmark = pytest.mark.timeout(120)

SOON = replace(QUICK, steady=0.5, main_look=3.0)


def written(simulator: HikvisionSimulator) -> list[dict[str, object]]:
    """Return cameras of site.yaml with both of their streams."""
    return [
        camera | {"main_stream": simulator.rtsp_url(int(camera["channel"]), "main")} for camera in behind(simulator)
    ]


def looks(site: Watching) -> list[Observation]:
    return [item for item in site.seen if item.kind is Kind.MAIN_STREAM]


def carried(site: Watching) -> dict[str, JsonValue]:
    """Return what the newest span of c1's stream says that the stream carries."""
    site.states("c1")  # what was seen is handed on
    return [item.facts for item in site.seen if item.kind is Kind.STREAM and item.facts][-1]


async def look_and_go_on(site: Watching) -> None:
    """Let c1 look at its main stream, and see that it is watched again."""
    watch, before = site.watches["c1"], len(looks(site))
    watch.want_main()
    await site.until(lambda: len(looks(site)) > before)
    frames = watch.state.frames
    await site.until(lambda: watch.state.frames > frames + 5)


async def test_a_look_at_what_is_recorded_takes_no_further_session_and_leaves_no_hole(tmp_path: Path) -> None:
    async with recorder(1, max_sessions=3) as simulator:
        seats = simulator.rtsp.seats
        assert seats.people_come(2) == 2
        config = write_site(tmp_path, written(simulator), [nvr(simulator) | {"max_streams": 3}])
        async with watching(config, SOON) as site:
            await site.until_up()
            began = site.now()
            await look_and_go_on(site)
            (seen,) = looks(site)
            await site.until(lambda: carried(site)["frame_rate"] is not None)
            facts, states, spans = carried(site), site.states("c1"), site.spans("c1")
            until = site.now()
        assert (seats.people_kicked, seats.people_refused, seats.refused_sessions) == (0, 0, 0)
    assert seen.state == "read"
    assert (seen.facts["codec"], seen.facts["width"], seen.facts["height"]) == ("h264", 640, 360)
    assert seen.facts["frame_rate"] == pytest.approx(5.0, rel=0.25)
    assert isinstance(seen.facts["bit_rate"], float)
    assert seen.facts["bit_rate"] > 10_000
    assert (facts["codec"], facts["width"], facts["height"]) == ("h264", 352, 288), (
        "of the watched stream, all the time"
    )
    assert facts["frame_rate"] == pytest.approx(5.0, rel=0.25)
    assert facts["keyframe_seconds"] == pytest.approx(2.0, rel=0.25)
    assert states == [("up", None)]
    assert (spans[0].start <= began, spans[-1].end >= until - 2 * SECOND) == (True, True)


async def test_cameras_in_turns_look_at_what_is_recorded_in_their_turn(tmp_path: Path) -> None:
    async with recorder(3, max_sessions=3) as simulator:
        seats = simulator.rtsp.seats
        assert seats.people_come(2) == 2
        config = write_site(tmp_path, written(simulator), [nvr(simulator) | {"max_streams": 3}])
        async with watching(config, replace(SOON, main_look=1.0)) as site:
            await site.until_up("c1")
            for watch in site.watches.values():
                watch.want_main()
            await site.until(lambda: {item.subject.id for item in looks(site)} == {"c1", "c2", "c3"})
            assert {item.state for item in looks(site)} == {"read"}
            before = {name: watch.state.frames for name, watch in site.watches.items()}
            await site.until(lambda: all(w.state.frames > before[name] for name, w in site.watches.items()))
            assert {state for name in site.watches for state, _ in site.states(name)} == {"up"}
        assert (seats.people_kicked, seats.people_refused, seats.refused_sessions) == (0, 0, 0)


async def test_a_main_stream_that_is_not_there_is_unknown_with_its_cause_and_the_camera_goes_on(tmp_path: Path) -> None:
    async with recorder(1) as simulator:
        camera = behind(simulator)[0] | {"main_stream": simulator.rtsp.url("nowhere")}
        async with watching(write_site(tmp_path, [camera], [nvr(simulator)]), SOON) as site:
            await site.until_up()
            await look_and_go_on(site)
            assert site.states("c1") == [("up", None)]
    (seen,) = looks(site)
    assert (seen.state, seen.cause, seen.facts) == ("unknown", "not_found", {})


async def test_a_main_stream_that_is_refused_to_the_login_costs_no_camera_its_watch(tmp_path: Path) -> None:
    refused = 0

    async def no_right(device: Device, asked: Asked, writer: asyncio.StreamWriter) -> bool:
        nonlocal refused
        if asked.url != device.url("/main") or "Authorization" not in asked.headers:
            return True
        refused += 1
        writer.write(render(401, asked, {"WWW-Authenticate": f'Digest realm="the device", nonce="{device.nonce}"'}))
        return False

    device = Device("compliance", PASSWORD, override=no_right, interval=0.05)
    async with serve(device):
        login = {"username": "compliance", "password_file": "password"}
        camera = {
            "id": "c1",
            "zones": ["room"],
            "stream": device.url("/sub"),
            "main_stream": device.url("/main"),
            **login,
        }
        async with watching(write_site(tmp_path, [camera]), SOON) as site:
            await site.until_up()
            await look_and_go_on(site)
            await look_and_go_on(site)
            assert site.station.breaker.held() == []
            assert site.states("c1") == [("up", None)]
    assert [(item.state, item.cause) for item in looks(site)] == [
        ("unknown", "unauthorized"),
        ("unknown", "credentials_held"),
    ]
    assert refused == 1, "nobody tries that again today"


async def test_a_camera_without_a_sub_stream_is_watched_by_its_main_one_and_asked_no_more_than_once(
    tmp_path: Path,
) -> None:
    async with recorder(1) as simulator:
        camera = behind(simulator)[0] | {
            "stream": simulator.rtsp.url("nowhere"),
            "main_stream": simulator.rtsp_url(1, "main"),
        }
        del camera["channel"]  # else the recorder's own address comes before the main stream
        async with watching(write_site(tmp_path, [camera], [nvr(simulator)])) as site:
            await site.until_up()
            watch = site.watches["c1"]
            await site.until(lambda: watch.state.info is not None and watch.state.info.width == 640)
            await site.until(lambda: site.states("c1") == [("up", None)])
            again = 2 * watch.state.reconnects  # a machine that stood still lost the stream
            assert simulator.stats()["requests_describe"] == 4 + again, "each address without and with the login"


async def test_an_onvif_recorder_tells_where_its_streams_are(tmp_path: Path) -> None:
    channels = [Channel(1, "c1", Camera("c1", name="Camera 01", figures=1), Footage([]))]
    async with OnvifSimulator(RecorderState(channels=channels, password=PASSWORD)) as simulator:
        camera = {"id": "c1", "zones": ["room"], "recorder": "nvr", "channel": "1"}
        login = {"username": "compliance", "password_file": "password"}
        device = {"id": "nvr", "driver": "onvif", "url": simulator.url, "ports": [simulator.rtsp.port], **login}
        async with watching(write_site(tmp_path, [camera], [device]), SOON) as site:
            await site.until_up()
            site.watches["c1"].want_main()
            await site.until(lambda: bool(looks(site)))
    (seen,) = looks(site)
    assert (seen.state, seen.facts["width"]) == ("read", 640)


async def test_a_camera_that_begins_late_when_it_is_opened_again_was_not_down(tmp_path: Path) -> None:
    """At the first opening a keyframe was near: nothing told that this device begins with its next one."""
    sub, quiet = Device(interval=0.05), 40
    sub.packets = lambda n: (
        plain_frame(n) if sub.methods().count("PLAY") == 1 else plain_frame(n - quiet) if n >= quiet else []
    )
    async with serve(sub), serve(Device(interval=0.05)) as main:
        cameras = [{"id": "c1", "zones": ["room"], "stream": sub.url(), "main_stream": main.url()}]
        async with watching(write_site(tmp_path, cameras), SOON, replace(PATIENT, first_frame=1.0)) as site:
            await site.until_up()
            began = site.now()
            await look_and_go_on(site)
            assert site.states("c1") == [("up", None)]
            assert site.spans("c1")[0].start <= began
            assert sub.methods().count("PLAY") == 2


async def test_a_main_stream_that_begins_with_its_next_keyframe_is_read(tmp_path: Path) -> None:
    async with serve(Device(interval=0.05)) as sub, serve(begins_late(2.0)) as main:
        cameras = [{"id": "c1", "zones": ["room"], "stream": sub.url(), "main_stream": main.url()}]
        async with watching(write_site(tmp_path, cameras), SOON, replace(PATIENT, first_frame=1.0)) as site:
            await site.until_up()
            await look_and_go_on(site)
            (seen,) = looks(site)
    assert (seen.state, seen.cause) == ("read", None)
    assert isinstance(seen.facts["frame_rate"], float)
