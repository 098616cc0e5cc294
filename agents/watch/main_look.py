"""A short look at the stream that is recorded: its codec, size and rates, which the watched one doesn't tell."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable

from pydantic import JsonValue

from agents.rtsp.errors import StreamError
from agents.rtsp.rtp import FrameEvent
from agents.rtsp.stream import Stream
from agents.watch.gauge import SHORTEST_SECONDS, Gauge, facts_of
from monitor.model.clock import Clock
from monitor.model.observation import Kind, Observation, Subject
from monitor.model.span import DAY, Millis, to_millis

HOLDS_FOR: Millis = 3 * DAY
"""A daily look may be missed twice."""

Seen = Callable[[float, float], None]
"""Told the monotonic seconds at which the first and the last frame of a read came."""


async def look_at_main(
    subject: Subject,
    opener: Callable[[], Awaitable[Stream]],
    clock: Clock,
    seconds: float,
    seen: Seen,
    patience: float = 0.0,
) -> Observation:
    """Open the main stream, watch it for so many seconds, and return what it is; `seen` is told when frames came.

    Its first packet may take `patience` seconds, where that is more than the stream's own deadline.

    A stream that breaks off has shown what it showed; one that shows nothing is unknown, with its cause.
    """
    at = to_millis(clock.now())
    try:
        facts = await _measured(opener, clock, seconds, seen, patience)
    except StreamError as error:
        return Observation(
            subject=subject, kind=Kind.MAIN_STREAM, start=at, end=at, state="unknown", cause=error.cause,
            expires=at + HOLDS_FOR, detail=error.detail[:500],
        )  # fmt: skip
    return Observation(
        subject=subject, kind=Kind.MAIN_STREAM, start=at, end=at, state="read", expires=at + HOLDS_FOR, facts=facts
    )


async def _measured(
    opener: Callable[[], Awaitable[Stream]], clock: Clock, seconds: float, seen: Seen, patience: float
) -> dict[str, JsonValue]:
    stream = await opener()
    stream.wait_for_first(patience)
    gauge, until = Gauge(stream.info.clock_rate), clock.monotonic() + seconds
    newest: FrameEvent | None = None
    try:
        while clock.monotonic() < until or (patience and newest is None):
            events = await stream.batch()
            if newest is None and patience:
                until = clock.monotonic() + seconds  # what was waited for is not what is looked at
            for event in events:
                gauge.frame(event)
            if events:
                seen(events[0].received_at, events[-1].received_at)
                newest = events[-1]
    except StreamError:
        if newest is None:
            raise
    finally:
        with contextlib.suppress(StreamError, TimeoutError, OSError):
            await stream.close()
    return facts_of(stream.info, gauge.take(newest, at_least=SHORTEST_SECONDS))
