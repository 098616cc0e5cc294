"""The wall clock is set while a camera is watched: the step itself is nobody's time."""

from __future__ import annotations

import asyncio
from collections import deque
from datetime import UTC, datetime
from typing import Any

import pytest

from agents.rtsp.errors import StreamError
from agents.rtsp.rtp import FrameEvent
from agents.rtsp.stream import StreamInfo
from agents.vision.diagnose import Diagnosis
from agents.watch.awake import STILL_SECONDS, Awake
from agents.watch.budget import Budget
from agents.watch.camera import CameraWatch, Timings, Tools
from agents.watch.decoder import Decoder
from agents.watch.failure import Around
from agents.watch.wall import Wall
from monitor.model.clock import ManualClock
from monitor.model.observation import Observation, StreamCause
from monitor.model.span import HOUR, SECOND, Millis, to_millis

START = datetime(2026, 11, 23, 4, tzinfo=UTC)
T0 = to_millis(START)


def test_a_wall_that_drifts_is_no_step_and_one_that_is_set_is_told_once() -> None:
    clock, steps = ManualClock(START), list[tuple[Millis, Millis]]()
    wall = Wall(clock, lambda old, new: steps.append((old, new)))
    for _ in range(100):
        clock.advance(10)
        clock.step(0.1)
        wall.now()
    assert steps == []
    clock.advance(5)
    before = to_millis(clock.now())
    clock.step(-3600)
    assert wall.now() == before - HOUR
    assert wall.now() == before - HOUR
    assert steps == [(before, before - HOUR)]


def test_a_standstill_is_told_once_to_each_and_a_late_beat_is_none() -> None:
    clock, stood = ManualClock(START), list[tuple[Millis, Millis]]()
    awake = Awake(clock)
    walls = [Wall(clock, lambda *_: None, awake, lambda old, new: stood.append((old, new))) for _ in range(2)]
    for seconds in (1, STILL_SECONDS - 1, 1):
        clock.advance(seconds)
        walls[0].now()
    assert stood == []
    before = to_millis(clock.now())
    clock.advance(60)
    for _ in range(2):
        for wall in walls:
            wall.now()
    assert stood == [(before, before + 60 * SECOND)] * 2
    clock.advance(600)
    awake.begin()
    walls[0].now()
    assert len(stood) == 2, "what was waited for before is none"


class Frames:
    """A stream that gives frames when the test says so."""

    info = StreamInfo("h264", 704, 576, 90_000, None, None)

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.waiting: deque[asyncio.Future[list[FrameEvent]]] = deque()

    async def batch(self) -> list[FrameEvent]:
        self.waiting.append(asyncio.get_running_loop().create_future())
        return await self.waiting[-1]

    def wait_for_first(self, seconds: float) -> None:
        pass

    async def next_keyframe(self, timeout: float) -> bytes | None:
        await asyncio.get_running_loop().create_future()
        return None

    async def close(self) -> None:
        pass

    async def frame(self, *at: float) -> None:
        """Let a frame arrive now (or one at each monotonic second of `at`), and be seen."""
        while not self.waiting:  # noqa: ASYNC110  (until the watch asks)
            await asyncio.sleep(0)
        events = [FrameEvent(one, 0, 1000, keyframe=False, lost=0) for one in at or (self.clock.monotonic(),)]
        self.waiting.popleft().set_result(events)
        for _ in range(5):
            await asyncio.sleep(0)

    async def fail(self) -> None:
        while not self.waiting:  # noqa: ASYNC110  (until the watch asks)
            await asyncio.sleep(0)
        self.waiting.popleft().set_exception(StreamError(StreamCause.STALLED, "media", "no frame"))
        for _ in range(10):
            await asyncio.sleep(0)


def watching(stream: Frames, tools: Tools) -> CameraWatch:
    """Return the watch of a camera that is alone and plays this stream."""

    async def opener() -> Any:
        return stream

    async def around(cause: StreamCause, since: float) -> Around:
        return Around()

    return CameraWatch("gate", opener, around, Budget(None), tools)


@pytest.mark.parametrize("step", [-HOUR, HOUR, -20 * 365 * 24 * HOUR, 24 * HOUR])
async def test_what_was_watched_is_told_on_each_clock_and_the_step_is_not(step: Millis) -> None:
    clock, seen = ManualClock(START), list[Observation]()
    stream = Frames(clock)
    tools = Tools(Decoder(), clock, seen.append, Timings(backoff_first=0.0, backoff_most=0.0))
    watch = watching(stream, tools)
    watch._diagnosis = Diagnosis("ok", T0)
    task = asyncio.create_task(watch.run())
    began = to_millis(clock.now())
    for _ in range(10):
        clock.advance(1)
        await stream.frame()
    clock.step(step / 1000)
    for _ in range(10):
        clock.advance(1)
        await stream.frame()
    watch.flush(to_millis(clock.now()))
    clock.advance(3)
    await stream.fail()
    clock.advance(2)
    watch.flush(to_millis(clock.now()))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    up = [(item.start, item.end) for item in seen if item.state == "up"]
    lengths = sum(end - start for start, end in up)
    assert 17 * SECOND <= lengths <= 19 * SECOND, up
    assert all(end - start <= 10 * SECOND for start, end in up), "nobody was up for the length of a step"
    assert up[0][0] >= began
    assert up[0][1] <= T0 + 30 * SECOND
    assert up[-1][1] == pytest.approx(T0 + step + 20 * SECOND, abs=2 * SECOND)
    down = [item for item in seen if item.state == "down"]
    assert down[0].start == up[-1][1], "back-dated to the last frame, on the new clock"


async def test_what_came_out_of_the_socket_after_a_standstill_says_nothing_of_it() -> None:
    """A stopped process, a disk that held it up: its sockets held the frames of the first seconds, and the camera may have stalled since."""
    clock, seen = ManualClock(START), list[Observation]()
    stream = Frames(clock)
    timings = Timings(backoff_first=0.0, backoff_most=0.0)
    tools = Tools(Decoder(), clock, seen.append, timings, awake=Awake(clock))
    watch = watching(stream, tools)
    task = asyncio.create_task(watch.run())
    for _ in range(10):
        clock.advance(1)
        await stream.frame()
    stopped = to_millis(clock.now())
    before = clock.monotonic()
    clock.advance(60)
    runs = to_millis(clock.now())
    # Begun before, and known to be whole with what came now: one event of then, one of now.
    await stream.frame(before + 0.5, clock.monotonic())
    for _ in range(5):
        clock.advance(1)
        await stream.frame()
    watch.flush(to_millis(clock.now()))
    clock.step(-3600)
    for _ in range(5):
        clock.advance(1)
        await stream.frame()
    watch.flush(to_millis(clock.now()))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    up = [(item.start, item.end) for item in seen if item.state == "up"]
    assert {item.state for item in seen} == {"up"}
    assert up[0][1] == pytest.approx(stopped, abs=SECOND)
    assert all(end <= stopped + SECOND or start >= runs for start, end in up[:-1]), up
    assert up[-2] == (runs, runs + 5 * SECOND)
    assert up[-1][1] - up[-1][0] == pytest.approx(5 * SECOND, abs=SECOND), "a step back afterwards holds nothing up"
