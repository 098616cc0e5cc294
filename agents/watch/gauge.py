"""What a stream carries: frames and bits a second, and how far its keyframes are apart, by frames' headers alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from agents.rtsp.rtp import FrameEvent
from agents.rtsp.stream import StreamInfo
from agents.watch.sender_time import Lateness

LONGEST_SECONDS = 300.0
"""Without two keyframes in this time the rates are those between any two frames."""
SHORTEST_SECONDS = 2.0
"""Less tells nothing of a rate."""
AGREE_RATIO = 0.1
"""A sender's clock is believed when it runs as ours does, within this."""


@dataclass(frozen=True)
class Rates:
    """What came between two keyframes (or between two frames, when keyframes are too rare)."""

    frame_rate: float
    """Frames a second."""
    bit_rate: float
    """Payload bits a second."""
    keyframe_seconds: float | None
    """From one keyframe to the next, on average; None when they are too rare to tell."""


@dataclass(frozen=True)
class _Mark:
    """Where a frame stands: when it came, its timestamp, and what had come before it."""

    at: float
    timestamp: int
    frames: int
    bytes: int


class Gauge:
    """One stream's rates, from keyframe to keyframe: begins and ends mid-way between keyframes don't blur them."""

    def __init__(self, clock_rate: int) -> None:
        """Take the ticks a second of the stream's timestamps."""
        self._clock_rate = clock_rate
        self._frames = 0
        self._bytes = 0
        self._begin: _Mark | None = None
        self._first: _Mark | None = None
        self._last: _Mark | None = None
        self._keyframes = 0
        """Of those since the first one, the first one not counted."""
        self._lateness = Lateness(clock_rate)
        self.keyframe_sent_at: float | None = None
        """When the newest keyframe that was put together was sent, or the last frame of a run that stands for one, in monotonic seconds: before it
        was read, and that may be long before the frame after it came, by which it is known to be whole."""

    def frame(self, event: FrameEvent) -> None:
        """Take note of one frame."""
        if event.keyframe:
            self._last = self._mark(event)
            if self._first is None:
                self._first = self._last
            else:
                self._keyframes += 1
        if self._begin is None:
            self._begin = self._mark(event)
        self._frames += 1
        self._bytes += event.bytes

    def frames(self, events: Sequence[FrameEvent]) -> None:
        """Take note of frames in their order, read together."""
        wanted: FrameEvent | None = None
        for event in events:
            if event.keyframe_data is not None:  # or the last one of a run that stands for a keyframe
                wanted = event
            if event.keyframe or self._begin is None:
                self.frame(event)
            else:
                self._frames += 1
                self._bytes += event.bytes
        if events:  # the last one has waited least
            self._lateness.of(events[-1].received_at, events[-1].rtp_timestamp)
        if wanted is not None:
            late = self._lateness.of(wanted.received_at, wanted.rtp_timestamp)
            self.keyframe_sent_at = wanted.received_at - late

    @property
    def keyframe_seconds(self) -> float | None:
        """From one keyframe to the next, on average since the rates were last taken; None before the second."""
        if self._first is None or self._last is None or not self._keyframes:
            return None
        return self._seconds(self._first, self._last) / self._keyframes

    def take(self, newest: FrameEvent | None, at_least: float = LONGEST_SECONDS) -> Rates | None:
        """Return the rates since they were last taken, None while that is too short; `newest` came last.

        Without two keyframes they are those of all frames, once these came for `at_least` seconds.
        """
        first, last = self._first, self._last
        if first is not None and last is not None and self._seconds(first, last) >= SHORTEST_SECONDS:
            rates = self._between(first, last, self._keyframes)
            self._first, self._keyframes, self._begin = last, 0, last
            return rates
        begin = self._begin
        if newest is None or begin is None or newest.received_at - begin.at < at_least:
            return None
        end = _Mark(newest.received_at, newest.rtp_timestamp, self._frames - 1, self._bytes - newest.bytes)
        self._begin = self._first = self._last = None
        self._keyframes = 0
        return self._between(begin, end, 0)

    def _mark(self, event: FrameEvent) -> _Mark:
        return _Mark(event.received_at, event.rtp_timestamp, self._frames, self._bytes)

    def _between(self, first: _Mark, last: _Mark, keyframes: int) -> Rates:
        seconds = self._seconds(first, last)
        return Rates(
            (last.frames - first.frames) / seconds,
            8 * (last.bytes - first.bytes) / seconds,
            seconds / keyframes if keyframes else None,
        )

    def _seconds(self, first: _Mark, last: _Mark) -> float:
        """Return the time between two frames: by the sender's clock, which doesn't jitter, when it runs rightly."""
        arrived = last.at - first.at
        told = ((last.timestamp - first.timestamp) & 0xFFFFFFFF) / self._clock_rate
        return told if abs(told - arrived) <= AGREE_RATIO * arrived else arrived


def facts_of(info: StreamInfo, rates: Rates | None) -> dict[str, JsonValue]:
    """Return codec, size and rates as an observation's facts; null what isn't known."""
    return {
        "codec": info.codec,
        "width": info.width,
        "height": info.height,
        "frame_rate": None if rates is None else round(rates.frame_rate, 1),
        "bit_rate": None if rates is None else round(rates.bit_rate, -3),
        "keyframe_seconds": None
        if rates is None or rates.keyframe_seconds is None
        else round(rates.keyframe_seconds, 1),
    }
