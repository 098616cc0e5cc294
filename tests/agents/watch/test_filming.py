"""What is decoded between two looks, exact to the frame, over the sockets of simulated cameras."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import cast

import av
import numpy as np
import pytest

from agents.rtsp import Stream
from agents.rtsp.errors import StreamError
from agents.rtsp.rtp import FrameEvent
from agents.rtsp.stream import StreamInfo, _Film
from agents.simulators.camera import Camera, Format
from agents.simulators.rtsp import RtspServer
from agents.simulators.scenes import Scene
from agents.vision.eye import Eye
from agents.vision.film import FilmFrame
from agents.vision.imprint import IMPRINT_BYTES, Imprint
from agents.vision.replay import Window
from agents.watch.decoder import DecodeError, Decoder, DecoderKilledError, Developed
from agents.watch.decoder_child import shown
from agents.watch.filming import SAME_SECONDS, Filming
from monitor.model.clock import SystemClock
from support.rtsp_device import TICKS, Device, interleaved, rtp, serve
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


@pytest.mark.parametrize(("apart", "filmed"), [(5, True), (60, False)])
async def test_a_stream_that_had_no_keyframe_for_a_while_is_filmed_again_once_they_come_as_before(
    apart: int, filmed: bool
) -> None:
    """Who withholds them once would else never be filmed again, until the stream ends; where they stay far apart, recovery points go on telling."""

    def packets(number: int) -> list[bytes]:
        keyframe = number == 0 or (number >= 60 and number % apart == 0)
        unit = b"\x65\x88" if keyframe else b"\x41\x9a"
        return [interleaved(0, rtp(number, number * TICKS, unit + bytes(50), marker=True))]

    async with (
        serve(Device(packets=packets, interval=0.02)) as device,
        opened(device.url(), deadlines=PATIENT) as stream,
    ):
        assert await stream.next_keyframe(5.0) is not None
        assert await stream.next_keyframe(0.5) is None
        keyframes, last = 0, 0
        while keyframes < 3:
            for event in await stream.batch():
                keyframes, last = keyframes + (event.keyframe and event.rtp_timestamp > 0), event.rtp_timestamp
        reading = asyncio.create_task(read_on(stream))
        film = await stream.film(last + 20 * TICKS, last + 25 * TICKS, 5.0)
        reading.cancel()
    assert bool(film) == filmed


def film_of(*stamps: int, key: tuple[int, ...], begin: int, end: int, lost: tuple[int, ...] = ()) -> list[int] | None:
    """Return which of frames that come in such an order make a film; None where it doesn't end with them."""
    loop = asyncio.new_event_loop()
    try:
        film = _Film(begin, end, loop.create_future())
        for at in stamps:
            film.take(FrameEvent(0.0, at, 9, at in key, 0, None, None if at in lost else b"frame"))
        return [at for at, _ in film.whole.result()] if film.whole.done() else None
    finally:
        loop.close()


def test_a_film_begins_at_the_last_keyframe_before_its_window_and_at_none_within() -> None:
    assert film_of(0, 1, 2, 3, 4, 5, 6, key=(0, 2, 4), begin=3, end=5) == [2, 3, 4, 5]
    assert film_of(0, 1, 2, 3, 4, 5, 6, key=(0, 2, 4), begin=3, end=5, lost=(3,)) == []
    assert film_of(1, 3, 4, 5, 6, key=(4,), begin=3, end=5) == []
    assert film_of(0, 1, 2, 3, key=(0,), begin=3, end=5) is None


def test_frames_that_are_sent_after_one_that_is_shown_after_them_belong_to_the_film() -> None:
    stamps = (0, 4, 2, 1, 3, 8, 6, 5, 7, 12, 10, 9, 11)
    assert film_of(*stamps, key=(0,), begin=5, end=7) == [0, 4, 2, 1, 3, 8, 6, 5, 7, 12]


def test_frames_that_are_shown_before_the_keyframe_that_they_follow_are_no_part_of_the_film() -> None:
    """H.265's open groups: a decoder that begins with the keyframe leaves them out, and a film of which a frame is missing tells nothing."""
    stamps = (0, 4, 2, 1, 3, 8, 6, 5, 7, 12, 10, 9, 11)
    assert film_of(*stamps, 16, 14, key=(0, 8), begin=9, end=12) == [8, 12, 10, 9, 11, 16]


async def test_a_film_of_an_open_group_of_h265_is_decoded_whole() -> None:
    """Of a stream whose keyframes are followed by frames that are shown before them, as of all but the first one."""
    frames = list[tuple[int, bool, bytes]]()
    context = av.CodecContext.create("libx265", "w")
    assert isinstance(context, av.VideoCodecContext)
    context.width, context.height, context.pix_fmt = 176, 144, "yuv420p"
    context.time_base, context.framerate = Fraction(1, 15), Fraction(15)
    context.options = {
        "x265-params": "keyint=12:min-keyint=12:bframes=3:b-adapt=0:open-gop=1:repeat-headers=1:pools=1:log-level=none"
    }
    scene = Scene(1, width=176, height=144)
    for number in range(60):
        picture = av.VideoFrame.from_ndarray(scene.room(1_700_000_000.0 + number / 15, UTC), format="yuv420p")
        picture.pts = number
        frames += [(packet.pts or 0, packet.is_keyframe, bytes(packet)) for packet in context.encode(picture)]
    keyframes = [at for at, keyframe, _ in frames if keyframe]
    film = _Film(keyframes[2] + 1, keyframes[2] + 5, asyncio.get_running_loop().create_future())
    for at, keyframe, data in frames:
        film.take(FrameEvent(0.0, at, len(data), keyframe, 0, None, data))
    coded = film.whole.result()
    assert coded[0][0] == keyframes[2]
    assert len(shown("hevc", b"".join(data for _, data in coded), [len(data) for _, data in coded], 4)) == 4


EARLIER = np.zeros(IMPRINT_BYTES, np.int8)


class Recorder:
    """An eye that asks for one window, and a decoder that does as it is told."""

    def __init__(self, fails: Exception | None = None, takes: float = 0.0) -> None:
        self.clock, self.fails, self.takes, self.asked, self.given = SystemClock(), fails, takes, 0, list[list[float]]()
        self.films = asyncio.Semaphore(1)

    def want(self, after: float) -> Window:
        """Ask for what comes at once."""
        self.asked += 1
        return Window(after, after + 0.3, EARLIER)

    def filmed(self, times: Sequence[float], frames: Sequence[FilmFrame]) -> None:
        """Note what comes."""
        self.given.append(list(times) if frames else [])

    async def film(self, codec: str, frames: Sequence[bytes], last: int, earlier: Imprint) -> Developed:
        """Return as many frames as are asked for."""
        if self.fails is not None:
            raise self.fails
        return Developed((FilmFrame(earlier, None),) * last, self.takes)


class Plays:
    """A stream of one keyframe each tenth of a second, of which a film is at hand at once."""

    info = StreamInfo("h264", 352, 288, 90_000, None, None)

    def __init__(self, filming: Filming, jumps: int, laid_anew: bool) -> None:
        self.filming, self.jumps, self.laid_anew = filming, jumps, laid_anew

    async def film(self, begin: int, end: int, timeout: float) -> list[tuple[int, bytes]]:
        """Return what is shown between, and one more; that one comes after the sender's clock was set."""
        if self.laid_anew:
            now = SystemClock().monotonic()
            self.filming.sent([FrameEvent(now, stamp, 9, True, 0, None) for stamp in (900_000_000, begin)])
        stamps = [*range(begin, end + 1, 9000)]
        return [(stamp % 2**32, b"frame") for stamp in (*stamps, stamps[-1] + 9000 + self.jumps)]


async def filmed_with(recorder: Recorder, jumps: int = 0, *, laid_anew: bool = False) -> Filming:
    filming = Filming(cast(Eye, recorder), cast(Decoder, recorder), recorder.clock)
    stream = Plays(filming, jumps, laid_anew)
    filming.begin(cast(Stream, stream))
    now = recorder.clock.monotonic() - 2.0
    filming.sent([FrameEvent(now, 1_000_000, 9, True, 0, b"key")])
    filming.go_on(0.1)
    film = filming._film
    assert film is not None
    await film
    return filming


@pytest.mark.parametrize("uptime", [0.0, 100.1, 17045.3, 99_999_999.7])
async def test_frames_are_handed_on_with_their_times(uptime: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those at the edges of a window too, however long the machine has been up: the sums of seconds are rounded otherwise then."""
    recorder = Recorder()
    monkeypatch.setattr(recorder.clock, "monotonic", lambda: uptime)
    await filmed_with(recorder)
    (times,) = recorder.given
    assert len(times) == 5
    assert abs(times[0] - (uptime - 2)) < 5


@pytest.mark.parametrize("jumps", [90_000 * 3600, 90_000 * 60, -90_000 * 3600])
async def test_a_film_in_which_the_sender_s_clock_jumps_tells_nothing(jumps: int) -> None:
    recorder = Recorder()
    await filmed_with(recorder, jumps)
    assert all(abs(at - recorder.clock.monotonic()) < 60 for times in recorder.given for at in times)


async def test_a_film_during_which_the_sender_s_clock_is_laid_on_ours_anew_tells_nothing() -> None:
    recorder = Recorder()
    await filmed_with(recorder, laid_anew=True)
    assert recorder.given == []


@pytest.mark.parametrize(
    ("fails", "takes", "asked"),
    [
        pytest.param(DecoderKilledError("too long"), 0.0, 1, id="that cost the decoder its life"),
        pytest.param(DecodeError("nonsense at its end", 1.5), 0.0, 1, id="that was dear and came to nothing"),
        pytest.param(None, 1.5, 1, id="that was dear"),
        pytest.param(DecodeError("nonsense", 0.2), 0.0, 2, id="that was cheap and came to nothing"),
        pytest.param(None, 0.2, 2, id="that was cheap"),
    ],
)
async def test_after_a_film_that_was_dear_there_is_none_for_a_while(
    fails: Exception | None, takes: float, asked: int
) -> None:
    recorder = Recorder(fails, takes)
    filming = await filmed_with(recorder)
    filming.go_on(0.1)
    assert recorder.asked == asked
    await filming.end()


async def test_what_nobody_foresaw_of_a_film_is_said_and_not_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder()

    async def fails(codec: str, frames: Sequence[bytes], last: int, earlier: Imprint) -> Developed:
        raise ZeroDivisionError

    monkeypatch.setattr(recorder, "film", fails)
    filming = Filming(cast(Eye, recorder), cast(Decoder, recorder), recorder.clock)
    filming.begin(cast(Stream, Plays(filming, 0, laid_anew=False)))
    filming.sent([FrameEvent(recorder.clock.monotonic() - 2.0, 1_000_000, 9, True, 0, b"key")])
    for _ in range(2):
        filming.go_on(0.1)
        film = filming._film
        assert film is not None
        await asyncio.wait({film})
        with pytest.raises(ZeroDivisionError):
            filming.go_on(0.1)
    filming.go_on(0.1)
    film = filming._film
    assert film is not None
    await asyncio.wait({film})
    with pytest.raises(ZeroDivisionError):
        await filming.end()


async def test_what_nobody_foresaw_of_looks_ends_the_watch_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else its frames would be counted on for days, and nobody would look at its picture."""
    server = RtspServer()
    server.publish("s", Camera(1).add_stream(Format(gop_seconds=0.4)))

    def fails(keyframe_seconds: float | None) -> None:
        raise ZeroDivisionError

    async def watches() -> None:
        cameras = [{"id": "yard", "zones": ["gate"], "stream": server.url("s")}]
        async with watching(write_site(tmp_path, cameras)) as site:
            (task,) = (task for task in asyncio.all_tasks() if "CameraWatch.run" in repr(task))
            monkeypatch.setattr(site.watches["yard"]._filming, "go_on", fails)
            await site.until(task.done, within=15)
            faults.append(task.exception())

    faults = list[BaseException | None]()
    async with server:
        with pytest.raises(
            AssertionError, match="ZeroDivisionError"
        ):  # the block ends with what its watches failed with
            await watches()
    assert [type(item) for item in faults] == [ZeroDivisionError]


async def test_a_watched_camera_is_filmed_when_its_eye_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = RtspServer()
    server.publish("s", Camera(1).add_stream(Format(gop_seconds=0.4)))
    asked, given = list[Window](), list[tuple[list[float], list[FilmFrame]]]()

    def want(after: float) -> Window | None:
        if asked:
            return None
        asked.append(Window(after + 0.5, after + 1.0, EARLIER))
        return asked[0]

    async with server:
        cameras = [{"id": "yard", "zones": ["gate"], "stream": server.url("s")}]
        async with watching(write_site(tmp_path, cameras)) as site:
            eye = site.watches["yard"]._eye
            monkeypatch.setattr(eye, "want", want)
            monkeypatch.setattr(eye, "filmed", lambda times, frames: given.append((list(times), list(frames))))
            await site.until(lambda: bool(given))
            looks = site.watches["yard"].state.looks
            await site.until(lambda: site.watches["yard"].state.looks > looks)  # looks go on beside it, and after it
    (times, frames), (window,) = given[0], asked
    assert abs(times[0] - SystemClock().monotonic()) < 60
    assert len(times) == len(frames)
    assert 2 <= len(times) <= 5
    assert times[0] >= window.begin - SAME_SECONDS
    assert times[-2] <= window.end + SAME_SECONDS
    assert {item.imprint.nbytes for item in frames} == {IMPRINT_BYTES}
