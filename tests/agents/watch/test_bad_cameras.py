"""One healthy camera beside everything that a camera can do wrong: its frames and its looks come in time all the same."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path

import pytest

from agents.simulators.camera import Camera, Format
from agents.simulators.rtsp import RtspServer
from agents.watch.decoder import Decoder, Looked, Size
from support.rtsp_device import SDP, SPS, Asked, Device, fragment, interleaved, plain_frame, rtp, serve
from support.rtsp_opening import raw_server
from support.site import write_site
from support.watching import PATIENT, QUICK, watching

pytestmark = pytest.mark.timeout(120)

QUIET = replace(PATIENT, connect=1.0, answer=1.0, total=2.0, first_frame=1.0, stall=2.0)


LOOKING: ContextVar[str] = ContextVar("LOOKING")
"""The camera whose look this task makes."""


class Poisonable(Decoder):
    """A real decoder, whose child stops for good at the keyframes of one camera."""

    poisoned = 0

    async def look(self, camera: str, codec: str, keyframe: bytes, announced: Size = (None, None)) -> Looked:
        LOOKING.set(camera)
        return await super().look(camera, codec, keyframe, announced)

    async def _running(self) -> asyncio.subprocess.Process:
        process = await super()._running()
        if LOOKING.get() == "poisonous":
            os.kill(process.pid, signal.SIGSTOP)
            self.poisoned += 1
        return process


def bits(text: str) -> bytes:
    """Return bits written as text, with the stop bit, as bytes."""
    text = text.replace(" ", "") + "1"
    text += "0" * (-len(text) % 8)
    return bytes(int(text[at : at + 8], 2) for at in range(0, len(text), 8))


def unsigned(number: int) -> str:
    """Return a ue(v) code (ITU-T H.264 9.1)."""
    code = f"{number + 1:b}"
    return "0" * (len(code) - 1) + code


def sps_of(width: int, height: int) -> bytes:
    """Return a Baseline SPS of this size (ITU-T H.264 7.3.2.1.1)."""
    fields = [0, 0, 0, 0, 1]  # id, frame numbers, picture order 0 and its bits, one reference frame
    body = "".join(map(unsigned, fields)) + "0"
    body += unsigned(width // 16 - 1) + unsigned(height // 16 - 1) + "1" + "1" + "0" + "0"
    return b"\x67\x42\xc0\x33" + bits(body)


def announcing(width: int, height: int) -> Device:
    """Return a camera that announces pictures of this size, and whose keyframes are as small as any."""
    sps = sps_of(width, height)
    return Device(sdp=SDP.replace(base64.b64encode(SPS).decode(), base64.b64encode(sps).decode()), interval=0.05)


def never_a_keyframe(number: int) -> list[bytes]:
    nal = b"\x41\x9a" + bytes([number % 251]) * 600
    return [
        interleaved(0, rtp(2 * number, number * 6000, fragment(nal, start=True))),
        interleaved(0, rtp(2 * number + 1, number * 6000, fragment(nal, start=False), marker=True)),
    ]


def now_and_then_garbage(number: int) -> list[bytes]:
    return [b"\xff\xfe garbage " * (number % 3), *plain_frame(number)]


async def one_byte_at_a_time(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    for byte in b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n" * 1000:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.2)


async def nothing_but_garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(100)
    for _ in range(1000):
        writer.write(os.urandom(2000))
        await writer.drain()


async def endless_description(_: Device, asked: Asked, writer: asyncio.StreamWriter) -> bool:
    if asked.method != "DESCRIBE":
        return True
    writer.write(f"RTSP/1.0 200 OK\r\nCSeq: {asked.headers['CSeq']}\r\nContent-Length: 65000\r\n\r\nv=0\r\n".encode())
    while True:
        writer.write(b"a=tool:and on and on\r\n")
        await writer.drain()
        await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def bad_cameras(poison: str) -> AsyncIterator[dict[str, str]]:
    """Serve them all; give their addresses."""
    devices = {
        "no_keyframe": Device(packets=never_a_keyframe, interval=0.05),
        "huge": announcing(16384, 16384),
        "between": Device(packets=now_and_then_garbage, interval=0.05),
        "endless": Device(override=endless_description),
        "elsewhere": Device(statuses={"DESCRIBE": 302}),
        "stuck": Device(ticks=0, interval=0.05),
    }
    async with contextlib.AsyncExitStack() as stack:
        urls = {"poisonous": poison}
        for name, device in devices.items():
            urls[name] = (await stack.enter_async_context(serve(device))).url()
        urls["slow"] = await stack.enter_async_context(raw_server(one_byte_at_a_time))
        urls["noise"] = await stack.enter_async_context(raw_server(nothing_but_garbage))
        yield urls


EXPECTED = {
    "no_keyframe": {("up", None)},
    "huge": {("up", None)},
    "between": {("up", None)},
    "poisonous": {("up", None)},
    "endless": {("down", "too_slow")},
    "elsewhere": {("unknown", "protocol_error")},
    "stuck": {("down", "stalled")},
    "slow": {("down", "too_slow")},
    "noise": {("down", "not_rtsp")},
}


async def test_a_healthy_camera_is_seen_in_time_whatever_its_neighbours_do(tmp_path: Path) -> None:
    server, decoder = RtspServer(), Poisonable(look_seconds=1.0)
    for name in ("healthy", "poisonous"):
        server.publish(name, Camera(name).add_stream(Format(gop_seconds=0.4)))
    async with server, bad_cameras(server.url("poisonous")) as bad:
        urls = {"healthy": server.url("healthy"), **bad}
        cameras = [{"id": name, "zones": ["gate"], "stream": url} for name, url in urls.items()]
        timings = replace(QUICK, keyframe_wait=1.0, unseen_after=2.0)
        async with watching(write_site(tmp_path, cameras), timings, QUIET, decoder) as site:
            healthy = site.watches["healthy"]
            await site.until(lambda: healthy.state.looks >= 2 and decoder.poisoned > 0)
            longest = {"frame": 0.0, "look": 0.0}
            last = {"frame": (site.now(), healthy.state.frames), "look": (site.now(), healthy.state.looks)}
            began = site.now()
            while site.now() - began < 4000:
                await asyncio.sleep(0.02)
                for what, count in (("frame", healthy.state.frames), ("look", healthy.state.looks)):
                    since, before = last[what]
                    longest[what] = max(longest[what], site.now() - since)
                    last[what] = (since, before) if count == before else (site.now(), count)
            await site.until(lambda: site.watches["huge"].view.state == "unknown")
            await site.until(lambda: site.watches["no_keyframe"].view.state == "unknown")
            assert site.states("healthy") == [("up", None)]
            for name, expected in EXPECTED.items():
                assert set(site.states(name)) == expected, name
            assert site.watches["huge"].view.cause == "decode_error"
    # One look later at most: a poisonous picture costs its second once, and a minute passes before the next one.
    assert longest["frame"] < 1000
    assert longest["look"] < 2500
    assert decoder.poisoned <= 2
    assert decoder.restarts <= 2
