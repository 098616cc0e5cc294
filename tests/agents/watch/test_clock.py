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

    async def frame(self) -> None:
        """Let a frame arrive now, and be seen."""
        while not self.waiting:  # noqa: ASYNC110  (until the watch asks)
            await asyncio.sleep(0)
        event = FrameEvent(self.clock.monotonic(), 0, 1000, keyframe=False, lost=0)
        self.waiting.popleft().set_result([event])
        for _ in range(5):
            await asyncio.sleep(0)

    async def fail(self) -> None:
        while not self.waiting:  # noqa: ASYNC110  (until the watch asks)
            await asyncio.sleep(0)
        self.waiting.popleft().set_exception(StreamError(StreamCause.STALLED, "media", "no frame"))
        for _ in range(10):
            await asyncio.sleep(0)


@pytest.mark.parametrize("step", [-HOUR, HOUR, -20 * 365 * 24 * HOUR, 24 * HOUR])
async def test_what_was_watched_is_told_on_each_clock_and_the_step_is_not(step: Millis) -> None:
    clock, seen = ManualClock(START), list[Observation]()
    stream = Frames(clock)

    async def opener() -> Any:
        return stream

    async def around(cause: StreamCause, since: float) -> Around:
        return Around()

    tools = Tools(Decoder(), clock, seen.append, Timings(backoff_first=0.0, backoff_most=0.0))
    watch = CameraWatch("gate", opener, around, Budget(None), tools)
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
