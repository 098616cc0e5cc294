"""One minute of footage played for some seconds: pictures decoded, and the time that the way of playing tells."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import tzinfo
from typing import Literal

from agents.recorders.base import FilePlayback, PlaybackRequest, StreamPlayback
from agents.rtsp.errors import StreamError
from agents.rtsp.ranges import ClockRange
from agents.rtsp.stream import Stream
from agents.watch.decoder import DecodeError, Decoder, DecoderBusyError, Looked
from monitor.model.clock import Clock
from monitor.model.span import MINUTE, SECOND, Millis, from_millis

PICTURES = 2
"""So many decoded keyframes are enough: a second one shows that it runs."""
NEAR: Millis = 2 * MINUTE
"""A picture so far from the minute that was asked for is still of it: devices begin at a file or a keyframe."""

Timing = Literal["plausible", "other", "unknown"]
ToldBy = Literal["picture", "file", "range"]
OpenPlayback = Callable[[StreamPlayback], Awaitable[Stream]]
"""Opens a recorder's playback. Raises StreamError."""


class NoPicture(Exception):
    """It played, and no whole picture came in the seconds that there are."""


@dataclass(frozen=True)
class Played:
    """What one minute showed."""

    codec: str
    pictures: tuple[Looked, ...]
    timing: Timing
    told_by: ToldBy | None = None
    off_seconds: float | None = None
    """The first picture's time minus the time that was asked for, where pictures are dated."""


@dataclass(frozen=True)
class Player:
    """Plays what a driver names: over RTSP, or a file in the decoder's process."""

    open: OpenPlayback
    decoder: Decoder
    clock: Clock
    zone: tzinfo
    """The recorder's wall clock, in which some recorders write ranges."""

    async def play(self, camera: str, request: PlaybackRequest, stamped: Millis, seconds: float) -> Played:
        """Play the instant `stamped` (the recorder's clock) for `seconds` at most.

        Raises StreamError, DecodeError when what comes can't be decoded, NoPicture.
        """
        if isinstance(request, FilePlayback):
            return await self._file(camera, request)
        stream = await self.open(request)
        try:
            pictures, taken_at = await self._pictures(camera, stream, seconds)
        finally:
            with contextlib.suppress(StreamError, TimeoutError, OSError):
                await stream.close()
        if taken_at is not None:
            return Played(stream.info.codec, pictures, *dated(taken_at, stamped, "picture"))
        timing = ranged(stream.info.clock_range, stamped, self.zone)
        return Played(stream.info.codec, pictures, timing, "range" if stream.info.clock_range else None)

    async def _file(self, camera: str, request: FilePlayback) -> Played:
        filmed = await self.decoder.look_at_file(camera, request.path, request.offset_seconds, PICTURES)
        if not filmed.looks:
            raise NoPicture
        off = (filmed.first_seconds - request.offset_seconds) * SECOND
        return Played(filmed.codec, filmed.looks, *dated(round(off), 0, "file"))

    async def _pictures(self, camera: str, stream: Stream, seconds: float) -> tuple[tuple[Looked, ...], Millis | None]:
        """Decode keyframes until there are enough; footage that ends before has shown what it showed."""
        until, pictures = self.clock.monotonic() + seconds, list[Looked]()
        taken_at: Millis | None = None
        broken: DecodeError | None = None
        while len(pictures) < PICTURES and (left := until - self.clock.monotonic()) > 0:
            try:
                keyframe = await stream.next_keyframe(left)
            except StreamError:
                if pictures or broken is not None:
                    break
                raise
            if keyframe is None:
                break
            taken_at = stream.taken_at if taken_at is None else taken_at
            info = stream.info
            try:
                pictures.append(
                    await self.decoder.look(f"proof/{camera}", info.codec, keyframe, (info.width, info.height))
                )
            except DecoderBusyError:
                raise
            except DecodeError as error:
                broken = error
        if not pictures:
            raise broken or NoPicture
        return tuple(pictures), taken_at


def dated(taken_at: Millis, stamped: Millis, told_by: ToldBy) -> tuple[Timing, ToldBy, float]:
    """Judge the time of the first picture against the time that was asked for."""
    off = taken_at - stamped
    return "plausible" if abs(off) <= NEAR else "other", told_by, round(off / SECOND, 1)


def ranged(told: ClockRange | None, stamped: Millis, zone: tzinfo) -> Timing:
    """Judge the range that a device tells: in UTC, or its wall clock's digits called UTC. What fits neither is unknown.

    It may be that of the minute, of its file, or of all that is held.
    """
    if told is None:
        return "unknown"
    shift = from_millis(stamped).astimezone(zone).utcoffset()
    digits = stamped + round(shift.total_seconds() * SECOND) if shift is not None else stamped
    end = told.start if told.end is None else told.end
    fits = any(told.start - NEAR <= reading <= end + NEAR for reading in (stamped, digits))
    return "plausible" if fits else "unknown"
