"""The client against GStreamer's RTSP server: an implementation that is not ours, and PyAV decodes what arrived."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Iterator
from pathlib import Path

import av
import pytest

from agents.breaker import Breaker
from agents.rtsp import AddressBook, Deadlines, Login, StreamError, StreamRequest, open_stream
from monitor.model.clock import SystemClock
from monitor.model.observation import StreamCause
from support.gstreamer import gst_server, looped
from support.parts import require

FOOTAGE = Path(__file__).parents[4] / "shared" / "footage"
LOOPBACK = AddressBook([ipaddress.ip_network("127.0.0.0/8")])
DEADLINES = Deadlines(total=20, answer=15, first_frame=10, stall=5)
"""GStreamer starts its encoder on the first DESCRIBE, and the machine may be busy."""
MOUNTS = {"/h264": {"test": "h264"}, "/h265": {"test": "h265"}, "/audio": {"test": "audio"}}
LOGIN = Login("viewer", 'q"uote\\d')


@pytest.fixture(scope="module", params=["basic", "digest"])
def port(request: pytest.FixtureRequest) -> Iterator[int]:
    require("gstreamer")
    with gst_server(MOUNTS, auth=request.param, user=LOGIN.username, password=LOGIN.password) as bound:
        yield bound


def decoded(codec: str, keyframe: bytes) -> tuple[int, int]:
    """Decode one keyframe and return the picture's size."""
    decoder = av.CodecContext.create({"h264": "h264", "h265": "hevc"}[codec], "r")
    assert isinstance(decoder, av.VideoCodecContext)
    frames = [*decoder.decode(av.Packet(keyframe)), *decoder.decode(None)]
    assert len(frames) == 1
    picture = frames[0]
    assert picture.key_frame
    assert not picture.is_corrupt
    assert picture.to_ndarray(format="gray").std() > 5  # a picture, and no grey plane
    return picture.width, picture.height


@pytest.mark.parametrize("codec", ["h264", "h265"])
async def test_a_keyframe_that_arrives_can_be_decoded(port: int, codec: str) -> None:
    request = StreamRequest(f"rtsp://127.0.0.1:{port}/{codec}", LOGIN)
    stream = await open_stream(request, LOOPBACK, DEADLINES, clock=SystemClock())
    try:
        first = await stream.next_keyframe(10)
        assert first is not None
        assert (stream.info.codec, stream.info.width, stream.info.height) == (codec, 320, 240)
        assert decoded(codec, first) == (320, 240)
        second = await stream.next_keyframe(10)
        assert second is not None
        assert second != first
        assert decoded(codec, second) == (320, 240)
    finally:
        await stream.close()


async def test_frames_come_at_the_cameras_rate(port: int) -> None:
    request = StreamRequest(f"rtsp://127.0.0.1:{port}/h264", LOGIN)
    stream = await open_stream(request, LOOPBACK, DEADLINES, clock=SystemClock())
    events = []
    async for event in stream.frames():
        events.append(event)
        if len(events) == 31:
            break
    await stream.close()
    ticks = (events[-1].rtp_timestamp - events[0].rtp_timestamp) & 0xFFFFFFFF
    assert ticks / 30 == pytest.approx(90000 / 15, rel=0.02)
    assert [event.keyframe for event in events].count(True) in {2, 3}
    assert sum(event.lost for event in events) == 0


async def test_audio_only_is_no_video(port: int) -> None:
    with pytest.raises(StreamError) as caught:
        await open_stream(
            StreamRequest(f"rtsp://127.0.0.1:{port}/audio", LOGIN), LOOPBACK, DEADLINES, clock=SystemClock()
        )
    assert caught.value.cause == StreamCause.NO_VIDEO


async def test_an_unknown_path_is_not_found(port: int) -> None:
    with pytest.raises(StreamError) as caught:
        await open_stream(
            StreamRequest(f"rtsp://127.0.0.1:{port}/none", LOGIN), LOOPBACK, DEADLINES, clock=SystemClock()
        )
    assert caught.value.cause == StreamCause.NOT_FOUND


async def test_sixteen_wrong_logins_become_one(port: int, tmp_path: Path) -> None:
    breaker = Breaker(tmp_path / "breaker.sqlite", SystemClock())
    request = StreamRequest(f"rtsp://127.0.0.1:{port}/h264", Login(LOGIN.username, "wrong"))

    async def cause() -> StreamCause:
        with pytest.raises(StreamError) as caught:
            await open_stream(request, LOOPBACK, DEADLINES, clock=SystemClock(), breaker=breaker)
        return caught.value.cause

    causes = await asyncio.gather(*(cause() for _ in range(16)))
    breaker.close()
    assert sorted(causes) == [*[StreamCause.CREDENTIALS_HELD] * 15, StreamCause.UNAUTHORIZED]


async def test_footage_plays_and_its_keyframe_shows_the_scene(tmp_path: Path) -> None:
    require("gstreamer")
    if not (FOOTAGE / "hall.mp4").exists():
        pytest.skip("the shared footage lies beside the project, and is not here")
    film = looped(FOOTAGE / "classroom.mp4", 10, tmp_path / "classroom.mp4")
    with gst_server({"/hall": {"file": str(FOOTAGE / "hall.mp4")}, "/class": {"file": str(film)}}) as bound:
        for path, size in (("hall", (768, 432)), ("class", (704, 396))):
            request = StreamRequest(f"rtsp://127.0.0.1:{bound}/{path}")
            stream = await open_stream(request, LOOPBACK, DEADLINES, clock=SystemClock())
            try:
                keyframe = await stream.next_keyframe(10)
                assert keyframe is not None
                assert decoded("h264", keyframe) == size
                assert (stream.info.width, stream.info.height) == size
                assert await stream.batch()
            finally:
                await stream.close()
