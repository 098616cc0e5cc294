"""One camera watched over real sockets: what its stream and its picture are said to be, since when, and why."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agents.simulators.camera import Camera, Fault, Format
from agents.simulators.rtsp import RtspServer
from agents.vision.diagnose import Conditions, Diagnosis, look
from agents.vision.thresholds import Thresholds
from agents.watch.camera import CameraWatch
from monitor.model.observation import Kind
from monitor.model.span import DAY, SECOND, Basis
from support.gstreamer import gst_server
from support.parts import require
from support.refreshing import begins_late
from support.rtsp_device import Asked, Device, serve
from support.site import behind, nvr, recorder, write_site
from support.watching import PATIENT, QUICK, Watching, watching

pytestmark = pytest.mark.timeout(120)


def direct(camera: Camera) -> tuple[RtspServer, list[dict[str, Any]]]:
    """Return a camera that is reached without a recorder, and its part of site.yaml once it listens."""
    server = RtspServer()
    server.publish("s", camera.add_stream(Format(gop_seconds=0.4)))
    return server, [{"id": "yard", "zones": ["gate"]}]


@asynccontextmanager
async def well(tmp_path: Path, camera: Camera) -> AsyncIterator[tuple[Watching, CameraWatch]]:
    """Watch a camera without a recorder, from when its picture was found to be good twice."""
    server, cameras = direct(camera)
    async with server:
        cameras[0]["stream"] = server.url("s")
        async with watching(write_site(tmp_path, cameras)) as site:
            watch = site.watches["yard"]
            await site.until(lambda: watch.view.state == "ok" and watch.state.looks >= 2)
            yield site, watch


async def test_a_camera_that_dies_is_down_since_its_last_frame_and_up_again_when_it_returns(tmp_path: Path) -> None:
    server, cameras = direct(Camera("yard"))
    async with server:
        cameras[0]["stream"] = server.url("s")
        async with watching(write_site(tmp_path, cameras, gateway=f"127.0.0.1:{server.port}")) as site:
            await site.until(lambda: site.states("yard") == [("up", None)])  # for a while: there is a span
            before = site.now()
            await server.die()
            died = site.now()
            await site.until(lambda: site.watches["yard"].stream.state == "down")
            known = site.now()
            await server.start()
            await site.until_up()
            await site.until(lambda: site.states("yard")[-1][0] == "up")
            up, down, again = site.spans("yard")
    assert [(span.state, span.cause) for span in (up, down, again)] == [("up", None), ("down", "refused"), ("up", None)]
    assert before - SECOND <= down.start <= died + 50
    assert known - died < 10 * SECOND
    assert (up.end, down.end) == (down.start, again.start), "no hole and no overlap"
    assert {span.basis for span in (up, down, again)} == {Basis.WATCHED}


async def test_a_stall_is_down_since_the_last_frame(tmp_path: Path) -> None:
    camera = Camera("yard")
    server, cameras = direct(camera)
    async with server:
        cameras[0]["stream"] = server.url("s")
        async with watching(write_site(tmp_path, cameras)) as site:
            await site.until(lambda: site.states("yard") == [("up", None)])
            camera.set_fault(Fault.STALLED)
            stalled = site.now()
            await site.until(lambda: site.watches["yard"].stream.state == "down")
            assert site.watches["yard"].stream.cause == "stalled"
            camera.set_fault(Fault.NONE)
            await site.until_up()
            await site.until(lambda: site.states("yard")[-1][0] == "up")
            down = site.spans("yard")[1]
    assert abs(down.start - stalled) <= SECOND
    assert (down.state, down.cause) == ("down", "stalled")


async def test_cameras_of_every_codec_are_up_and_looked_at_without_keyframes_too(tmp_path: Path) -> None:
    require("gstreamer")
    kinds = ("h264", "h265", "mjpeg", "refresh")
    with gst_server({f"/{kind}": {"test": kind, "pattern": "smpte"} for kind in kinds}) as port:
        cameras = [{"id": kind, "zones": ["gate"], "stream": f"rtsp://127.0.0.1:{port}/{kind}"} for kind in kinds]
        timings, deadlines = replace(QUICK, keyframe_wait=2.0), replace(PATIENT, answer=15.0, total=20.0)
        async with watching(write_site(tmp_path, cameras), timings, deadlines) as site:
            await site.until(lambda: all(watch.state.looks >= 3 for watch in site.watches.values()))
            assert {site.states(kind)[-1] for kind in kinds} == {("up", None)}
            infos = {kind: site.watches[kind].state.info for kind in kinds}
    assert {kind: (info.codec, info.width, info.height) for kind, info in infos.items() if info is not None} == {
        kind: ("h264" if kind == "refresh" else kind, 320, 240) for kind in kinds
    }


async def test_a_camera_that_begins_with_its_next_keyframe_is_waited_for(tmp_path: Path) -> None:
    """Its keyframes are further apart than a lost stream may stay unknown: it was down for as long as it was watched."""
    async with serve(begins_late(2.5)) as device:
        cameras = [{"id": "yard", "zones": ["gate"], "stream": device.url()}]
        async with watching(write_site(tmp_path, cameras), QUICK, replace(PATIENT, first_frame=0.5)) as site:
            await site.until_up()
            await site.until(lambda: site.states("yard") != [])
            assert site.states("yard") == [("up", None)]


async def test_a_camera_that_is_waited_for_keeps_nobody_from_knowing_what_its_recorder_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agents.watch.camera.OPENING_SECONDS", 0.3)
    async with serve(begins_late(100.0)) as device:
        cameras = [{"id": "yard", "zones": ["gate"], "stream": device.url()}]
        async with watching(write_site(tmp_path, cameras), replace(QUICK, keyframe_wait=100.0)) as site:
            camera = site.station.site.camera("yard")
            assert camera is not None
            budget = site.station.budget(camera)
            await site.until(lambda: "PLAY" in device.methods())
            budget.refused("another")
            await site.until(lambda: budget.limit is not None)


async def test_a_camera_that_ran_and_comes_back_without_a_frame_is_known_soon(tmp_path: Path) -> None:
    device = Device(interval=0.05)

    async def hang_up_later(_: Device, asked: Asked, writer: asyncio.StreamWriter) -> bool:
        if asked.method == "PLAY" and device.methods().count("PLAY") == 1:
            asyncio.get_running_loop().call_later(1.0, writer.transport.abort)
        elif asked.method == "PLAY":
            device.frames = 0
        return True

    device.override = hang_up_later
    async with serve(device):
        cameras = [{"id": "yard", "zones": ["gate"], "stream": device.url()}]
        timings = replace(QUICK, keyframe_wait=100.0)
        async with watching(write_site(tmp_path, cameras), timings, replace(PATIENT, first_frame=0.5)) as site:
            await site.until(lambda: site.states("yard") == [("up", None), ("down", "stalled")], within=20)


async def test_a_blip_is_logged_with_its_cause_and_its_length(tmp_path: Path) -> None:
    camera = Camera("yard")
    server, cameras = direct(camera)
    async with server:
        cameras[0]["stream"] = server.url("s")
        async with watching(write_site(tmp_path, cameras)) as site:
            await site.until(lambda: site.states("yard") == [("up", None)])
            camera.set_fault(Fault.DEAD)  # every connection is ended
            camera.set_fault(Fault.NONE)
            await site.until(lambda: len(site.states("yard")) == 3)
            states, spans = site.states("yard"), site.spans("yard")
    assert states == [("up", None), ("down", "closed"), ("up", None)]
    assert spans[1].end - spans[1].start < 10 * SECOND


async def test_black_in_mid_run_is_known_within_three_looks_and_began_at_the_first_of_them(tmp_path: Path) -> None:
    camera = Camera("yard")
    async with well(tmp_path, camera) as (site, watch):
        looks = watch.state.looks
        camera.set_fault(Fault.BLACK)
        capped = site.now()
        await site.until(lambda: watch.view.state == "black")
        # One picture may have been under way when the lens was capped.
        assert watch.state.looks - looks <= 3 + 1
        known = site.now()
        camera.set_fault(Fault.NONE)
        await site.until(lambda: watch.view.state == "ok")
        await site.until(lambda: len(site.states("yard", Kind.VIEW)) == 3)
        ok, black, again = site.spans("yard", Kind.VIEW)
    assert [span.state for span in (ok, black, again)] == ["ok", "black", "ok"]
    assert capped - SECOND <= black.start < known - 100, "back-dated to the first look that saw it"
    assert (ok.end, black.end) == (black.start, again.start)


async def test_other_faults_of_the_picture_and_a_dark_room_that_is_not_black(tmp_path: Path) -> None:
    faults = {"frozen": Fault.FROZEN, "clock": Fault.FROZEN_SENSOR, "lost": Fault.SIGNAL_LOST, "dark": Fault.DARK}
    expected = {"frozen": "frozen", "clock": "frozen", "lost": "signal_lost", "dark": "dark"}
    pictures = {name: Camera(name, name="Camera 01", figures=1) for name in faults}
    server = RtspServer()
    for name, camera in pictures.items():
        server.publish(name, camera.add_stream(Format(gop_seconds=0.4)))
    async with server:
        cameras = [{"id": name, "zones": ["gate"], "stream": server.url(name)} for name in faults]
        async with watching(write_site(tmp_path, cameras)) as site:
            await site.until(lambda: all(watch.view.state == "ok" for watch in site.watches.values()))
            for name, fault in faults.items():
                pictures[name].set_fault(fault)
            looks = {name: watch.state.looks for name, watch in site.watches.items()}
            await site.until(lambda: all(w.state.looks > looks[name] + 4 for name, w in site.watches.items()))
            assert {name: watch.view.state for name, watch in site.watches.items()} == expected
            assert all(site.states(name) == [("up", None)] for name in faults)
            pictures["lost"].set_fault(Fault.NONE)
            await site.until(lambda: site.watches["lost"].view.state == "ok")
            assert site.states("dark", Kind.VIEW) == [("ok", None), ("dark", None)]


async def test_a_frozen_picture_began_at_the_look_that_showed_it_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[tuple[int, int | None]] = []

    def noted(diagnosis: Diagnosis, seen: Conditions, at: int, thresholds: Thresholds, before: int | None) -> Diagnosis:
        looks.append((at, before))
        return look(diagnosis, seen, at, thresholds, before)

    monkeypatch.setattr("agents.watch.camera.look", noted)
    camera = Camera("gate", name="Camera 01", figures=1)
    async with well(tmp_path, camera) as (site, watch):
        camera.set_fault(Fault.FROZEN)
        await site.until(lambda: watch.view.state == "frozen")
        known = len(looks)
        camera.set_fault(Fault.DEAD)
        await site.until(lambda: watch.stream.state == "down")
        camera.set_fault(Fault.NONE)
        await site.until(lambda: len(looks) > known and looks[-1][1] is not None)
        frozen = next(span for span in site.spans("yard", Kind.VIEW) if span.state == "frozen")
    at = [instant for instant, _ in looks]
    assert frozen.start in at
    assert at.index(frozen.start) <= known - 3, "of the looks that confirmed it, two, the one before the first"
    assert [before for _, before in looks[:known]] == [None, *at[: known - 1]]
    assert None in [before for _, before in looks[known:]], "nobody watched while the stream was down"


async def test_a_recorder_without_power_is_unreachable_and_none_of_its_cameras_down(tmp_path: Path) -> None:
    async with recorder(3) as simulator:
        config = write_site(tmp_path, behind(simulator), [nvr(simulator)])
        async with watching(config) as site:
            await site.until(lambda: all(site.states(name) == [("up", None)] for name in site.watches))
            await simulator.die()
            died = site.now()
            await site.until(lambda: all(watch.stream.state == "unknown" for watch in site.watches.values()))
            await simulator.revive()
            await site.until_up()
            await site.until(lambda: all(site.states(name)[-1][0] == "up" for name in site.watches))
            for name in site.watches:
                assert site.states(name) == [("up", None), ("unknown", "recorder_unreachable"), ("up", None)]
                assert abs(site.spans(name)[1].start - died) <= SECOND, "back-dated to the last frame"


async def test_a_dead_channel_is_down_because_the_recorder_says_so(tmp_path: Path) -> None:
    async with recorder(2) as simulator:
        config = write_site(tmp_path, behind(simulator), [nvr(simulator)])
        async with watching(config) as site:
            await site.until_up()
            simulator.set_fault(1, Fault.DEAD)
            await site.until(lambda: site.watches["c1"].stream.state == "down")
            await site.until(lambda: site.watches["c1"].stream.cause == "channel_offline")
            assert site.watches["c2"].stream.state == "up"
            assert site.states("c1")[-1] == ("down", "channel_offline")
            assert site.spans("c1")[-1].basis is Basis.RECORDER_SAYS


async def test_a_recorder_s_placeholder_for_a_channel_off_line_is_a_camera_that_is_down(tmp_path: Path) -> None:
    async with recorder(2) as simulator:
        config = write_site(tmp_path, behind(simulator), [nvr(simulator)])
        async with watching(config) as site:
            await site.until(lambda: all(watch.view.state == "ok" for watch in site.watches.values()))
            simulator.set_fault(1, Fault.SIGNAL_LOST)
            gone = site.watches["c1"]
            await site.until(lambda: gone.view.state == "signal_lost")
            assert (gone.stream.state, gone.stream.cause) == ("down", "channel_offline"), "frames arrive all the same"
            frames = gone.state.frames
            await site.until(lambda: gone.state.frames > frames + 20)
            assert gone.stands == "down"
            simulator.set_fault(1, Fault.NONE)
            await site.until(lambda: gone.view.state == "ok" and gone.stream.state == "up")
            assert site.states("c1") == [("up", None), ("down", "channel_offline"), ("up", None)]
            down = site.spans("c1")[1]
            lost = next(span for span in site.spans("c1", Kind.VIEW) if span.state == "signal_lost")
            assert down.basis is Basis.RECORDER_SAYS
            assert abs(down.start - lost.start) <= SECOND
            assert site.states("c2") == [("up", None)]


async def test_an_index_scan_that_never_ends_does_not_hide_a_dead_channel(tmp_path: Path) -> None:
    async with recorder(2) as simulator:
        config = write_site(tmp_path, behind(simulator), [nvr(simulator)])
        async with watching(config) as site:
            await site.until_up()
            scan = site.station.scans["nvr"]
            simulator.state.quirks.search_seconds = 3.0
            scanning = asyncio.create_task(scan.read(scan.cameras[0], (site.now() - 2 * DAY, site.now())))
            await site.until(scan._searching.locked)
            simulator.set_fault(1, Fault.DEAD)
            died = site.now()
            await site.until(lambda: site.watches["c1"].stream.state == "down")
            assert site.now() - died < 10 * SECOND
            scanning.cancel()
            await asyncio.gather(scanning, return_exceptions=True)
