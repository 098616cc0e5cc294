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
SIZES = {"h264": (320, 240), "h265": (320, 240), "mjpeg": (320, 240), "large": (2560, 1440)}
MOUNTS: dict[str, dict[str, object]] = {
    "/h264": {"test": "h264"},
    "/h265": {"test": "h265"},
    "/mjpeg": {"test": "mjpeg"},
    "/large": {"test": "mjpeg", "pattern": "smpte", "width": 2560, "height": 1440, "framerate": 2},
    "/audio": {"test": "audio"},
}
LOGIN = Login("viewer", 'q"uote\\d')


pytestmark = pytest.mark.xdist_group("gstreamer")


@pytest.fixture(scope="module", params=["basic", "digest"])
def port(request: pytest.FixtureRequest) -> Iterator[int]:
    require("gstreamer")
    with gst_server(MOUNTS, auth=request.param, user=LOGIN.username, password=LOGIN.password) as bound:
        yield bound


def pictures(codec: str, data: bytes) -> list[av.VideoFrame]:
    """Decode a keyframe, or a run of frames."""
    decoder = av.CodecContext.create({"h265": "hevc"}.get(codec, codec), "r")
    assert isinstance(decoder, av.VideoCodecContext)
    packets = [*decoder.parse(data), *decoder.parse(None)]
    return [frame for packet in [*packets, None] for frame in decoder.decode(packet)]


def decoded(codec: str, keyframe: bytes) -> tuple[int, int]:
    """Decode one keyframe and return the picture's size."""
    frames = pictures(codec, keyframe)
    assert len(frames) == 1
    picture = frames[0]
    assert picture.key_frame
    assert not picture.is_corrupt
    assert picture.to_ndarray(format="gray").std() > 5  # a picture, and no grey plane
    return picture.width, picture.height


@pytest.mark.parametrize("path", SIZES)
async def test_a_keyframe_that_arrives_can_be_decoded(port: int, path: str) -> None:
    codec, size = "mjpeg" if path == "large" else path, SIZES[path]
    request = StreamRequest(f"rtsp://127.0.0.1:{port}/{path}", LOGIN)
    stream = await open_stream(request, LOOPBACK, DEADLINES, clock=SystemClock())
    try:
        first = await stream.next_keyframe(10)
        assert first is not None
        assert (stream.info.codec, stream.info.width, stream.info.height) == (codec, *size)
        assert decoded(codec, first) == size
        second = await stream.next_keyframe(10)
        assert second is not None
        assert second != first
        assert decoded(codec, second) == size
    finally:
        await stream.close()


async def test_a_stream_without_keyframes_gives_a_run_whose_last_picture_is_whole() -> None:
    require("gstreamer")
    with gst_server({"/refresh": {"test": "refresh"}}) as bound:
        request = StreamRequest(f"rtsp://127.0.0.1:{bound}/refresh")
        stream = await open_stream(request, LOOPBACK, DEADLINES, clock=SystemClock())
        try:
            assert await stream.next_keyframe(10) is not None, "the one at the encoder's start"
            assert await stream.next_keyframe(1.5) is None
            run = await stream.next_keyframe(10)
            assert run is not None
            shown = pictures("h264", run)
            assert not any(frame.is_corrupt for frame in shown)
            assert (shown[-1].width, shown[-1].height) == (320, 240)
            picture = shown[-1].to_ndarray(format="gray")
            assert picture.max() > 200, "the ball"
            assert picture.min() < 30
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
