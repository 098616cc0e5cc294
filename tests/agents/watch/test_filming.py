"""What is decoded between two looks, exact to the frame, over the sockets of simulated cameras."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path

import pytest

from agents.rtsp import Stream
from agents.rtsp.errors import StreamError
from agents.simulators.camera import Camera, Format
from agents.simulators.rtsp import RtspServer
from agents.vision.imprint import IMPRINT_BYTES, Imprint
from agents.vision.replay import Window
from monitor.model.clock import SystemClock
from support.rtsp_opening import PATIENT, opened
from support.site import write_site
from support.watching import watching

pytestmark = pytest.mark.timeout(60)


async def test_a_film_goes_from_a_keyframe_on_to_its_end() -> None:
    async with RtspServer() as server:
        server.publish("s", Camera(1).add_stream(Format(gop_seconds=1.0)))
        async with opened(server.url("s"), deadlines=PATIENT) as stream:
            (first, *_) = await stream.batch()
            begin, end = first.rtp_timestamp + 3 * 45_000, first.rtp_timestamp + 4 * 45_000
            reading = asyncio.create_task(read_on(stream))
            frames = await stream.film(begin, end, 20.0)
            reading.cancel()
    stamps = [stamp for stamp, _ in frames]
    apart = {after - before for before, after in pairwise(stamps)}
    assert stamps[0] <= begin
    assert stamps[-1] >= end
    assert stamps[-2] < end
    assert apart == {18_000}
    assert b"\0\0\0\1\x67" in frames[0][1]


async def read_on(stream: Stream) -> None:
    while await stream.batch():
        pass


async def test_a_film_that_nothing_comes_of_is_empty_and_one_of_a_stream_that_ends_says_so() -> None:
    async with RtspServer() as server:
        server.publish("s", Camera(1).add_stream(Format(gop_seconds=1.0)))
        async with opened(server.url("s"), deadlines=PATIENT) as stream:
            (first, *_) = await stream.batch()
            far = first.rtp_timestamp + 90_000 * 3600
            assert await stream.film(far, far, 0.3) == []
            filming = asyncio.create_task(stream.film(far, far, 30.0))
            await asyncio.sleep(0)
            assert await stream.film(far, far, 1.0) == []  # one at a time
            await server.die()
            with pytest.raises(StreamError):
                await filming


async def test_a_watched_camera_is_filmed_when_its_eye_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = RtspServer()
    server.publish("s", Camera(1).add_stream(Format(gop_seconds=0.4)))
    asked, given = list[Window](), list[tuple[list[float], list[Imprint]]]()

    def want(after: float) -> Window | None:
        if asked:
            return None
        asked.append(Window(after + 0.5, after + 1.0))
        return asked[0]

    async with server:
        cameras = [{"id": "yard", "zones": ["gate"], "stream": server.url("s")}]
        async with watching(write_site(tmp_path, cameras)) as site:
            eye = site.watches["yard"]._eye
            monkeypatch.setattr(eye, "want", want)
            monkeypatch.setattr(eye, "filmed", lambda times, imprints: given.append((list(times), list(imprints))))
            await site.until(lambda: bool(given))
            looks = site.watches["yard"].state.looks
            await site.until(lambda: site.watches["yard"].state.looks > looks)  # looks go on beside it, and after it
    (times, imprints), (window,) = given[0], asked
    assert abs(times[0] - SystemClock().monotonic()) < 60
    assert len(times) == len(imprints)
    assert 2 <= len(times) <= 5
    assert times[0] >= window.begin
    assert times[-2] <= window.end
    assert {item.nbytes for item in imprints} == {IMPRINT_BYTES}
