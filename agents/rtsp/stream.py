"""An open stream: frame events as they arrive, keyframes on demand, and the end with its reason."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace

from agents.rtsp.connection import Connection
from agents.rtsp.errors import StreamError
from agents.rtsp.habit import CLOSED_SECONDS, NOT_UNDERSTOOD
from agents.rtsp.message import Message
from agents.rtsp.pace import GATHER_MOST_BYTES, Pace, until_check
from agents.rtsp.ranges import ClockRange
from agents.rtsp.request import Deadlines
from agents.rtsp.rtp import AccessUnits, FrameEvent
from agents.rtsp.sdp import Codec
from agents.rtsp.session import Session
from monitor.model.observation import StreamCause
from monitor.model.span import Millis

MAX_WAITING_EVENTS = 1024
"""A reader further behind loses the oldest; a keyframe every few seconds bounds the memory."""
KEEP_KEYFRAME_SECONDS = 6.0
MIN_KEEP_ALIVE_SECONDS, MAX_KEEP_ALIVE_SECONDS = 0.5, 30.0
TAKEN_SECONDS = 0.1
"""What is read so soon after it was asked for had been waiting."""


@dataclass(frozen=True)
class StreamInfo:
    """What the device says of the stream."""

    codec: Codec
    """As the stream shows it, where that is another one than the description's."""
    width: int | None
    height: int | None
    """Pixels by the sequence parameter set, None until one has been seen."""
    clock_rate: int
    """RTP timestamp ticks a second."""
    server: str | None
    """The Server header, shortened."""
    tls_fingerprint: str | None
    """SHA-256 of the certificate in hexadecimal, None without TLS."""
    clock_range: ClockRange | None = None
    """Of recorded footage: from when to when it plays, as the device writes it."""


CodedFrame = tuple[int, bytes]
"""One frame: its RTP timestamp, and its bytes as `FrameEvent.coded` has them."""

MAX_FILM_BYTES = 8 << 20
_WORD, _HALF = 1 << 32, 1 << 31


@dataclass
class _Film:
    """The frames from the last keyframe at or before `begin` up to `end`, RTP timestamps both."""

    begin: int
    end: int
    whole: asyncio.Future[list[CodedFrame]]
    frames: list[CodedFrame] = field(default_factory=list)
    bytes: int = 0
    newest: int | None = None
    """The timestamp of those so far that is shown last."""
    reordered: bool = False
    """Frames are sent after others that are shown after them."""

    def take(self, event: FrameEvent) -> None:
        """Take the next frame; one that isn't whole, or too much, makes all begin anew at the next keyframe."""
        if self.whole.done():
            return  # one read may bring more
        at, newest = event.rtp_timestamp, self.newest
        begins = event.keyframe and _ahead(at, self.begin) <= 0
        if begins or event.coded is None or self.bytes > MAX_FILM_BYTES:
            self.frames, self.bytes = [], 0
        # What is shown before the keyframe hangs on what came before that (H.265's open groups): no decoder that begins here shows it.
        leads = bool(self.frames) and _ahead(at, self.frames[0][0]) < 0
        # From a later keyframe on some of what is wanted would be missing, and the frame that would tell with it.
        if event.coded is not None and (self.frames or begins) and not leads:
            self.frames.append((at, event.coded))
            self.bytes += len(event.coded)
        self.reordered = self.reordered or (newest is not None and _ahead(at, newest) < 0)
        if newest is None or _ahead(at, newest) > 0:
            self.newest = at
            # Where frames are reordered those that are shown before the first one past the end come after it.
            past = newest if self.reordered else at
            if past is not None and _ahead(past, self.end) >= 0:
                self.whole.set_result(self.frames)


def _ahead(timestamp: int, of: int) -> int:
    """Return by how many ticks one RTP timestamp is ahead of another one."""
    return (timestamp - of + _HALF) % _WORD - _HALF


class Stream:
    """A stream that plays. Made by open_stream; close it in any case."""

    def __init__(
        self, connection: Connection, session: Session, units: AccessUnits, info: StreamInfo, deadlines: Deadlines
    ) -> None:
        """Take the connection over; packets arrive from now on."""
        self._loop = asyncio.get_running_loop()
        self._connection = connection
        self._session = session
        self._units = units
        self._info = info
        self._deadlines = deadlines
        self._first_packet = deadlines.first_frame
        self._asked_at = float("-inf")
        """When the last keep-alive was sent."""
        self._answered = False
        """Whether any was answered, in whatever way."""
        self._events: deque[FrameEvent] = deque(maxlen=MAX_WAITING_EVENTS)
        self._reader: asyncio.Future[None] | None = None
        self._keyframe: asyncio.Future[bytes] | None = None
        self._kept: tuple[float, bytes] | None = None
        """A keyframe that nobody waited for, and when it came."""
        self._film: _Film | None = None
        self._patient = True
        self._in_vain = 0.0
        """So many seconds a keyframe was waited for in vain, the last time."""
        self._keyframe_at: float | None = None
        """When the last one came since then."""
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._moved = self._moved_checked = 0
        self._newest = -1
        """The timestamp to which they had moved."""
        self._moved_at = 0.0
        self._taken_at = self._taken_before = 0.0
        """When what waited in the socket was taken out, and the time before that."""
        self._last_look = False
        """What waits is taken once more, before the stream is called stalled."""
        self._packets = 0
        self._pace = Pace(deadlines.stall, self._loop.time())
        self._playing = False
        self._closing = False
        # Most devices begin with a keyframe, and the next one may be half a minute away: the first one is kept for a while.
        units.want()
        connection.attach(units, session.channel, self._on_media, self._on_end, self._on_late_answer)

    def start(self, plays: ClockRange | None = None) -> None:
        """PLAY was answered, with this range: the deadlines of the media begin, and the keep-alive."""
        if plays is not None:
            self._info = replace(self._info, clock_range=plays)
        self._connection.stage = "media"
        self._moved_at = self._loop.time()
        self._pace = Pace(self._deadlines.stall, self._moved_at)
        self._playing = True
        if self._connection.error is None:
            self._after("stall", min(self._deadlines.first_frame, until_check(self._moved_at)), self._check_stall)
            self._after("keep_alive", self._keep_alive_seconds, self._keep_alive)

    @property
    def info(self) -> StreamInfo:
        """What is known of the stream by now."""
        width, height = self._units.size or (None, None)
        codec = self._units.codec
        if (codec, width, height) != (self._info.codec, self._info.width, self._info.height):
            self._info = replace(self._info, codec=codec, width=width, height=height)
        return self._info

    @property
    def taken_at(self) -> Millis | None:
        """When the newest picture was taken, where a recorder dates each one (ONVIF's replay header extension)."""
        return self._units.taken_at

    @property
    def bytes_received(self) -> int:
        """All bytes of the connection so far."""
        return self._connection.wire.bytes_received

    async def batch(self) -> list[FrameEvent]:
        """Wait for frames and return all that are there, at least one; an empty list after `close`.

        One wake-up for each read of the socket: cheaper than `frames` for many cameras. Raises StreamError when the
        stream has ended.
        """
        while not self._events:
            if self._closing:
                return []
            if self._connection.error is not None:
                raise self._connection.error.again()
            self._reader = self._loop.create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        events = list(self._events)
        self._events.clear()
        return events

    async def frames(self) -> AsyncIterator[FrameEvent]:
        """Yield one event for each access unit, until `close`. Raises StreamError when the stream has ended."""
        while events := await self.batch():
            for event in events:
                yield event

    def want_keyframe(self) -> None:
        """Ask for the next complete keyframe: its event will carry `keyframe_data`."""
        self._units.want(patient=self._patient)

    async def next_keyframe(self, timeout: float) -> bytes | None:
        """Return the next complete keyframe; None after `timeout` seconds.

        Annex B with its parameter sets, or a JPEG file. One that came a few seconds ago while nobody waited counts, such
        as that which the stream began with. After a wait in vain the next one may as well be a run of H.264 frames from a
        recovery point on, whose last one is a whole picture once all are decoded, until two keyframes came in less than
        that time; and it is kept when it comes between two calls. May run beside `frames`, and without it. Raises StreamError when the stream has ended.
        """
        if self._connection.error is not None:
            raise self._connection.error.again()
        kept, self._kept = self._kept, None
        if kept is not None and self._loop.time() - kept[0] < KEEP_KEYFRAME_SECONDS:
            return kept[1]
        if self._keyframe is None or self._keyframe.done():
            self._keyframe = self._loop.create_future()
        self.want_keyframe()
        try:
            async with asyncio.timeout(timeout):
                return await asyncio.shield(self._keyframe)
        except TimeoutError:
            self._keyframe = None
            self._patient, self._in_vain, self._keyframe_at = False, timeout, None
            self.want_keyframe()
            return None

    async def film(self, begin: int, end: int, timeout: float) -> list[CodedFrame]:
        """Return all frames from the last keyframe on that comes now and at or before `begin`, up to `end`; both RTP timestamps.

        Nothing where no such comes in `timeout` seconds, where a frame after the keyframe is not whole, or where keyframes don't come at all. May
        run beside `frames` and `next_keyframe`. Raises StreamError when the stream has ended.
        """
        if self._connection.error is not None:
            raise self._connection.error.again()
        if not self._patient or self._film is not None:
            return []
        film = self._film = _Film(begin, end, self._loop.create_future())
        self._units.collect_all(True)
        try:
            async with asyncio.timeout(timeout):
                return await film.whole
        except TimeoutError:
            return []
        finally:
            self._film = None
            self._units.collect_all(False)

    def wait_for_first(self, seconds: float) -> None:
        """Let the first packet take so long, where that is more than the deadline: many devices begin with their next keyframe.

        So may the first movement after it: some devices are set to a frame in 8 or 16 seconds.
        """
        self._first_packet = max(self._deadlines.first_frame, seconds)

    async def close(self) -> None:
        """Send TEARDOWN, wait briefly for its answer, and close the socket in any case."""
        self._closing = True
        self._stop_timers()
        self._wake()
        try:
            if self._connection.error is None:
                await self._session.tear_down(self._deadlines.teardown)
        finally:
            self._connection.fail(StreamError(StreamCause.CLOSED, "media", "the stream was closed here"))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._deadlines.teardown):
                await asyncio.shield(self._connection.wire.closed)

    @property
    def _keep_alive_seconds(self) -> float:
        return min(max(self._session.timeout_seconds / 2, MIN_KEEP_ALIVE_SECONDS), MAX_KEEP_ALIVE_SECONDS)

    def _on_media(self) -> None:
        """Take the access units of one read."""
        units = self._units
        if units.moved != self._moved:
            begins, self._moved = not self._moved, units.moved
            if begins:  # what it was waited for is no pause of its own
                self._moved_at = self._loop.time()
                self._pace = Pace(self._deadlines.stall, self._moved_at)
            if units.moved > 1:  # one timestamp alone has not moved
                self._note_movement(self._loop.time())
        if not units.events or self._closing:
            units.events.clear()
            return
        for event in units.events:
            if event.keyframe_data is not None:
                self._keep(event.keyframe_data)
        if not self._patient:
            self._regain_patience(units.events)
        if self._film is not None:
            for event in units.events:
                self._film.take(event)
        self._events.extend(units.events)
        units.events.clear()
        self._wake()

    def _regain_patience(self, events: list[FrameEvent]) -> None:
        """Wait for keyframes again once they come as they did: a camera may have had none for a while, and is worth a film again."""
        for event in events:
            if event.keyframe:
                before, self._keyframe_at = self._keyframe_at, event.received_at
                self._patient = self._patient or (before is not None and event.received_at - before < self._in_vain)

    def _keep(self, keyframe: bytes) -> None:
        if self._keyframe is not None and not self._keyframe.done():
            self._keyframe.set_result(keyframe)
        else:
            self._kept = self._loop.time(), keyframe

    def _on_end(self) -> None:
        self._stop_timers()
        self._blame_keep_alive()
        self._units.finish()
        self._on_media()
        error = self._connection.error
        if self._keyframe is not None and not self._keyframe.done() and error is not None:
            self._keyframe.set_exception(error.again())
            self._keyframe.exception()  # read here: nobody may be waiting any more
        if self._film is not None and not self._film.whole.done() and error is not None:
            self._film.whole.set_exception(error.again())
            self._film.whole.exception()
        self._wake()

    def _blame_keep_alive(self) -> None:
        """A device that ends the stream right after a sign of life, or having answered none, is asked otherwise on later connections."""
        error = self._connection.error
        if error is None or self._closing:
            return
        at_once = error.cause is StreamCause.CLOSED and self._loop.time() - self._asked_at < CLOSED_SECONDS
        unheard = error.cause in {StreamCause.CLOSED, StreamCause.STALLED} and self._asked_at > 0 and not self._answered
        if at_once or unheard:
            self._session.hung_up()

    def _on_late_answer(self, answer: Message) -> None:
        """Look at the answer to a keep-alive: a refused login must not go out every half minute."""
        if not self._playing or self._closing:
            return
        self._answered = True
        self._session.requester.answered(answer.status or 0)
        if answer.status in NOT_UNDERSTOOD:
            self._session.not_understood()
        elif answer.status == 401 and not self._session.goes_on(answer):
            detail = "the login is no longer accepted (a keep-alive was answered 401)"
            self._connection.fail(StreamError(StreamCause.UNAUTHORIZED, "media", detail))

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def _note_movement(self, now: float) -> None:
        """Frames were read; had they been waiting, they came after those before them as the sender's clock says.

        That is since what waited was taken the time before, at the earliest: a sender's clock may run slow.
        """
        newest, before = self._units.newest, self._newest
        self._newest = newest
        if now - self._taken_at < TAKEN_SECONDS and not self._last_look:
            told = ((newest - before) & 0xFFFFFFFF) / self._info.clock_rate
            now = min(now, max(self._moved_at + told, self._taken_before))
        self._last_look = False
        self._moved_at = now
        self._pace.moved(now)

    def _check_stall(self) -> None:
        """End the stream when its timestamps have not moved for too long; else look again when they might not have."""
        now, started = self._loop.time(), self._units.moved > 1
        limit = self._pace.limit(now) if started else self._first_packet
        left = self._moved_at + limit - now
        if left <= 0.001 and started and not self._last_look:
            # This machine may have stood still. What waits in the socket is taken first, and counts as new.
            self._last_look = True
            self._after("stall", TAKEN_SECONDS, self._check_stall)
            self._connection.wire.resume()
            self._connection.wire.take()
            return
        if left <= 0.001:
            self._stalled(limit, started=started)
            return
        if self._moved != self._moved_checked:
            self._moved_checked, self._packets = self._moved, self._units.packets
        self._after("stall", min(left, until_check(now)), self._check_stall)
        if self._pace.may_gather(now):  # at last: what is read may end the connection
            self._taken_before, self._taken_at = self._taken_at, now
            self._connection.wire.take(then=GATHER_MOST_BYTES)

    def _stalled(self, limit: float, *, started: bool) -> None:
        if self._units.packets > self._packets:
            what = "packets arrive, but their timestamps do not move"
        elif self._connection.strays and not started:
            what = "packets arrive on another channel than the device has answered"
        else:
            what = "no packet arrives"
        since = "" if started else " since PLAY was answered"
        detail = f"no frame for {limit:.3g} s{since}: {what}"
        self._connection.fail(StreamError(StreamCause.STALLED, "media", detail))

    def _keep_alive(self) -> None:
        self._connection.forgive()
        if self._answered:
            self._session.habit.borne()  # the one before
        if self._session.is_held:
            detail = "the device has refused the login to other streams meanwhile, so it is not sent again"
            self._connection.fail(StreamError(StreamCause.CREDENTIALS_HELD, "media", detail))
            return
        self._asked_at = self._loop.time()
        self._session.keep_alive()
        self._after("keep_alive", self._keep_alive_seconds, self._keep_alive)

    def _after(self, name: str, seconds: float, action: Callable[[], None]) -> None:
        self._timers[name] = self._loop.call_later(seconds, action)

    def _stop_timers(self) -> None:
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
