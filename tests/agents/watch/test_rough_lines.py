"""A camera behind a line that loses packets, and one whose keyframes are far apart: what is said of them, and what isn't."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from agents.simulators.camera import Camera, Fault, Format
from agents.simulators.rtsp import RtspServer
from monitor.model.observation import Kind
from monitor.model.span import SECOND
from support.lossy import lossy
from support.site import write_site
from support.watching import PATIENT, QUICK, watching

pytestmark = pytest.mark.timeout(120)

STEADY = replace(PATIENT, stall=20.0)
"""For a camera that stands still with the busy machine: its stall is not what is asked."""

IDR_BEGINS = b"\x65"
"""NAL unit type 5 in a packet of its own."""


def of_a_keyframe(_: int, payload: bytes) -> bool:
    """Tell whether a packet carries the end of a keyframe: a fragment (FU-A) of an IDR picture, or all of one."""
    last_fragment = payload[0] & 0x1F == 28 and payload[1] & 0x5F == 0x45
    return last_fragment or payload[:1] == IDR_BEGINS


def nothing(_: int, __: bytes) -> bool:
    return False


def everything(_: int, __: bytes) -> bool:
    return True


def yard(gop_seconds: float = 0.4) -> tuple[RtspServer, Camera]:
    """Return a camera that is reached without a recorder."""
    server, camera = RtspServer(), Camera("yard", name="Camera 01", figures=1)
    server.publish("s", camera.add_stream(Format(gop_seconds=gop_seconds)))
    return server, camera


async def test_a_line_that_loses_packets_now_and_then_makes_no_outage_and_no_fault(tmp_path: Path) -> None:
    server, _ = yard()
    async with server, lossy(server.port, lambda sequence, _: sequence % 17 == 5) as line:
        cameras = [{"id": "yard", "zones": ["gate"], "stream": line.url("s")}]
        async with watching(write_site(tmp_path, cameras), deadlines=STEADY) as site:
            watch = site.watches["yard"]
            await site.until(lambda: watch.view.state == "ok" and watch.state.looks >= 5 and line.lost >= 6)
            lost_by_then = line.lost
            await site.until(lambda: watch.state.lost_packets >= lost_by_then)
            assert watch.state.lost_packets <= line.lost
            assert site.states("yard") == [("up", None)]
            assert site.states("yard", Kind.VIEW) == [("ok", None)]


async def test_a_line_on_which_every_keyframe_is_damaged_leaves_the_view_unknown_and_the_stream_up(
    tmp_path: Path,
) -> None:
    server, _ = yard()
    timings = replace(QUICK, keyframe_wait=0.5, unseen_after=1.5)
    async with server, lossy(server.port, nothing) as line:
        cameras = [{"id": "yard", "zones": ["gate"], "stream": line.url("s")}]
        async with watching(write_site(tmp_path, cameras), timings, STEADY) as site:
            watch = site.watches["yard"]
            await site.until(lambda: watch.view.state == "ok" and watch.state.looks >= 3)
            line.loses = of_a_keyframe
            await site.until(lambda: watch.view.state == "unknown")
            frames = watch.state.frames
            await site.until(lambda: watch.state.frames > frames + 5)
            assert (watch.stream.state, watch.view.cause) == ("up", "decode_error")
            line.loses = nothing
            await site.until(lambda: watch.view.state == "ok")
            assert site.states("yard") == [("up", None)]
            await site.until(lambda: len(site.states("yard", Kind.VIEW)) == 3)
            states = site.states("yard", Kind.VIEW)
    assert states == [("ok", None), ("unknown", "decode_error"), ("ok", None)]


async def test_a_line_that_loses_everything_is_a_stall_since_the_last_frame(tmp_path: Path) -> None:
    server, _ = yard()
    async with server, lossy(server.port, nothing) as line:
        cameras = [{"id": "yard", "zones": ["gate"], "stream": line.url("s")}]
        async with watching(write_site(tmp_path, cameras)) as site:
            await site.until(lambda: site.watches["yard"].state.frames >= 5)
            line.loses = everything
            cut = site.now()
            await site.until(lambda: site.watches["yard"].stream.state == "down")
            line.loses = nothing
            await site.until_up()
            await site.until(lambda: site.states("yard")[-1][0] == "up")
            states, down = site.states("yard"), site.spans("yard")[1]
    assert states == [("up", None), ("down", "stalled"), ("up", None)]
    assert abs(down.start - cut) <= SECOND


async def test_with_keyframes_far_apart_a_fault_is_known_with_the_second_of_them(tmp_path: Path) -> None:
    """They are five looks apart, as of a camera that sends one in fifty seconds; nothing is unknown in between."""
    gop = 3.0
    server, camera = yard(gop)
    async with server:
        cameras = [{"id": "yard", "zones": ["gate"], "stream": server.url("s")}]
        async with watching(write_site(tmp_path, cameras), deadlines=STEADY) as site:
            watch = site.watches["yard"]
            await site.until(lambda: watch.view.state == "ok")
            looks = watch.state.looks
            camera.set_fault(Fault.BLACK)
            capped = site.now()
            await site.until(lambda: watch.view.state == "black")
            # One picture may have been under way when the lens was capped.
            assert watch.state.looks - looks <= 2 + 1
            assert site.now() - capped <= (2 + 1) * gop * SECOND
            assert site.states("yard") == [("up", None)]
            await site.until(lambda: len(site.states("yard", Kind.VIEW)) == 2)
            assert site.states("yard", Kind.VIEW) == [("ok", None), ("black", None)]
