"""What one camera's eye asks to see between two looks: frames decoded one after the other, exact to the one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from agents.limited import MAX_FILM_PIXELS
from agents.rtsp.errors import StreamError
from agents.rtsp.rtp import FrameEvent
from agents.rtsp.stream import Stream
from agents.vision.eye import Eye, Taken
from agents.vision.film import FilmFrame
from agents.vision.imprint import Imprint
from agents.vision.loop import Frame
from agents.vision.replay import Window
from agents.watch.decoder import DecodeError, Decoder, DecoderKilledError
from agents.watch.ended import ended
from agents.watch.looking import rest_after, rest_after_kills
from agents.watch.sender_time import APART_SECONDS, SenderTime
from monitor.model.clock import Clock

MOST_KEYFRAME_SECONDS = 12.0
"""What is filmed is decoded from a keyframe on: where these are further apart it would keep the decoder from other cameras' looks for more than a
second or two."""

MOST_SHOWN = 48
"""Frames of a window: of a camera's are ten or fewer."""

EARLY_SECONDS = APART_SECONDS + 0.5
"""So much sooner frames may be read than a clock says that was laid on ours by one that was read late: the keyframe before a window must not be missed."""
SAME_SECONDS = 0.0001
"""A frame at the edge of a window is within it, however its ticks are rounded when they become seconds."""
LATE_SECONDS = 5.0
"""So long they may be on their way, and be waited for."""


class Filming:
    """The frames of one camera's stream by the sender's clock, and what is decoded of them beside looks. One film at a time."""

    def __init__(self, eye: Eye, decoder: Decoder, clock: Clock) -> None:
        """Film nothing yet."""
        self._eye = eye
        self._decoder = decoder
        self._clock = clock
        self._stream: Stream | None = None
        self._times = SenderTime(90_000)
        self._keyframe_at: float | None = None
        """When the newest keyframe that was put together was sent."""
        self._film: asyncio.Task[None] | None = None
        self._killed, self._rests_until = 0, float("-inf")
        """So many films have cost the decoder its life, and until when there is none for that, or because the last one was dear."""

    def begin(self, stream: Stream) -> None:
        """Begin with a connection: its sender's clock is laid on ours anew."""
        self._stream, self._times, self._keyframe_at = stream, SenderTime(stream.info.clock_rate), None

    def sent(self, events: Sequence[FrameEvent]) -> list[Frame]:
        """Return frames as an eye takes them, each when it was sent."""
        at, frames = self._times.at, list[Frame]()
        for came, stamp, size, key, _, keyframe_data, _ in events:
            sent_at = at(came, stamp)
            frames.append((sent_at, size, key))
            if keyframe_data is not None:
                self._keyframe_at = sent_at
        return frames

    def taken(self, imprint: Imprint | None) -> Taken | None:
        """Return which frame the newest look shows; None where that isn't known."""
        return None if self._keyframe_at is None else Taken(self._keyframe_at, imprint)

    def go_on(self, keyframe_seconds: float | None) -> None:
        """Film what the eye asks for, if anything; keyframes are so far apart. Raises what the film before failed with that nobody foresaw."""
        if self._film is not None and self._film.done():
            film, self._film = self._film, None
            if not film.cancelled():  # as with the decoder, when the agent ends
                film.result()
        stream, shown_at = self._stream, self._keyframe_at
        if stream is None or shown_at is None or keyframe_seconds is None or keyframe_seconds > MOST_KEYFRAME_SECONDS:
            return
        if self._film is None and self._clock.monotonic() >= self._rests_until:
            early = keyframe_seconds + EARLY_SECONDS
            window = self._eye.want(shown_at + early)
            if window is not None:
                self._film = asyncio.create_task(self._take(stream, window, early))

    async def end(self) -> None:
        """End with the connection. Raises what the film failed with that nobody foresaw."""
        film, self._film = self._film, None
        if film is not None:
            film.cancel()
            await ended(film)

    async def _take(self, stream: Stream, window: Window, early: float) -> None:
        """Film a window, from a keyframe on that comes so much before it, unless others are filmed then. What can't be had tells nothing, this time."""
        with contextlib.suppress(StreamError, DecodeError):
            await self._clock.sleep(max(0.0, window.begin - early - self._clock.monotonic()))
            if not self._decoder.films.locked():
                async with self._decoder.films:
                    await self._hand_on(stream, window, early)

    async def _hand_on(self, stream: Stream, window: Window, early: float) -> None:
        """Decode the frames of a window, and hand their noise on. Raises StreamError and DecodeError."""
        times, laid = self._times, self._times.laid
        begin, end = times.timestamp(window.begin), times.timestamp(window.end)
        if begin is None or end is None:
            return
        frames = await stream.film(begin, end, early + window.end - window.begin + LATE_SECONDS)
        if times.laid != laid:
            return  # the sender's clock was set: these frames are not those that were meant, nor is it known when they were sent
        shown_at = sorted(at for at in (times.of(stamp) for stamp, _ in frames) if at is not None)
        if not shown_at or shown_at[-1] > window.end + LATE_SECONDS:
            return  # it was set with the last of them, which nobody else has seen yet
        before = sum(at < window.begin - SAME_SECONDS for at in shown_at)
        within = sum(at <= window.end + SAME_SECONDS for at in shown_at) - before
        info = stream.info
        if within < 1 or len(shown_at) - before > MOST_SHOWN or info.width is None or info.height is None:
            return
        if len(frames) * info.width * info.height <= MAX_FILM_PIXELS:
            coded = [data for _, data in frames]
            seen = await self._developed(info.codec, coded, len(frames) - before, window.earlier)
            self._eye.filmed(shown_at[before:][: within + 1], seen[: within + 1])

    async def _developed(self, codec: str, coded: Sequence[bytes], last: int, earlier: Imprint) -> Sequence[FilmFrame]:
        """Return what the last frames that are shown leave beside an earlier look. Raises DecodeError."""
        try:
            developed = await self._decoder.film(codec, coded, last, earlier)
        except DecoderKilledError:
            self._killed += 1
            self._rest(rest_after_kills(self._killed))
            raise
        except DecodeError as error:
            self._rest(rest_after(error.seconds))
            raise
        self._rest(rest_after(developed.seconds))
        self._killed = max(0, self._killed - 1)
        if len(developed.frames) != last:
            return []  # of some no imprint is made: none can be told from another
        return developed.frames

    def _rest(self, seconds: float) -> None:
        """Leave the decoder to other cameras' looks for so long, as after a look that cost as much."""
        self._rests_until = self._clock.monotonic() + seconds
