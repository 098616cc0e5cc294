"""One RTSP connection: requests and their answers, with a deadline for each, beside the packets that flow."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable

from agents.rtsp.errors import MalformedError, Stage, StreamError
from agents.rtsp.message import Message, render_refusal, render_request
from agents.rtsp.rtp import AccessUnits
from agents.rtsp.share import Share
from agents.rtsp.wire import Wire
from monitor.model.clock import Clock
from monitor.model.observation import StreamCause

MAX_UNASKED_MESSAGES = 64
USER_AGENT = "cradlewatch"


class Connection:
    """Numbers requests, finds their answers, and hands packets on to the stream that is attached."""

    def __init__(self, clock: Clock) -> None:
        """Make the protocol object that a transport needs."""
        self._clock = clock
        self.wire = Wire(self)
        self.stage: Stage = "connect"
        self.error: StreamError | None = None
        """Why the connection has ended."""
        self._cseq = 0
        self._waiting: tuple[int, asyncio.Future[Message]] | None = None
        self._unasked = 0
        self._at = 0.0
        self._share = Share()
        self._units: AccessUnits | None = None
        self._channel = -1
        self.strays = 0
        """Packets on other channels than the video's and its RTCP's."""
        self._on_media: Callable[[], None] = _nothing
        self._on_end: Callable[[], None] = _nothing
        self._on_late_answer: Callable[[Message], None] = _nothing_of

    def attach(
        self,
        units: AccessUnits,
        channel: int,
        on_media: Callable[[], None],
        on_end: Callable[[], None],
        on_late_answer: Callable[[Message], None],
    ) -> None:
        """Let packets of `channel` go to `units`, and say when some were read and when the connection ended."""
        self._units, self._channel = units, channel
        self.wire.parser.channel = channel
        self._on_media, self._on_end, self._on_late_answer = on_media, on_end, on_late_answer

    async def ask(self, method: str, url: str, headers: dict[str, str], seconds: float) -> Message:
        """Send a request and return its answer.

        Raises StreamError when the whole answer isn't there after `seconds`, or the connection ends.
        """
        if self.error is not None:
            raise self.error.again()
        answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        cseq = self.tell(method, url, headers)
        self._waiting = cseq, answer
        try:
            async with asyncio.timeout(max(seconds, 0)):
                return await answer
        except TimeoutError:
            if answer.done() and not answer.cancelled():
                return answer.result()  # it had come, and this machine stood still until its deadline was over
            raise self._too_late(method, seconds) from None
        finally:
            self._waiting = None
            del answer  # its error's traceback holds this frame

    def tell(self, method: str, url: str, headers: dict[str, str]) -> int:
        """Send a request whose answer nobody waits for; return its number."""
        self._cseq += 1
        self.wire.write(render_request(method, url, self._cseq, headers | {"User-Agent": USER_AGENT}))
        return self._cseq

    def forgive(self) -> None:
        """Begin anew to count garbage, and messages that nobody asked for: time has passed."""
        self._unasked = 0
        self.wire.parser.forgive()

    def fail(self, error: StreamError) -> None:
        """End the connection for this reason, unless it has ended for another."""
        if self.error is not None:
            return
        self.error = error
        self.wire.abort()
        if self._waiting is not None and not self._waiting[1].done():
            self._waiting[1].set_exception(error.again())
        self._on_end()
        # Nothing may hold on to the other: a camera that is gone is tried for weeks, each time with buffers of its own.
        self._units = None
        self._on_media, self._on_end, self._on_late_answer = _nothing, _nothing, _nothing_of

    def on_bytes(self) -> None:
        """Take the time of this read, once for all of its packets."""
        self._at = self._clock.monotonic()

    def on_packet(self, channel: int, data: bytearray, start: int, end: int) -> None:
        """Hand a packet of the video's channel on; all others (RTCP, leftovers of an older session) are skipped."""
        if channel == self._channel and self._units is not None:
            self._units.packet(data, start, end, self._at)
        elif channel != self._channel + 1:
            self.strays += 1

    def on_plain(self, data: bytearray, start: int, end: int) -> int:
        """Hand on at once what packets of the video's channel lie one after the other, and return where they end."""
        if self._units is None:
            return start
        return self._units.plain(data, start, end, self._channel, self._at)

    def on_message(self, message: Message) -> None:
        """Find who waits for an answer; refuse what the server asks for."""
        if message.status is None:
            self._count_unasked()
            self.wire.write(render_refusal(message.cseq or 0))
            return
        if message.status < 200:
            self._count_unasked()
            return
        waiting = self._waiting
        # A device that forgets the number, or makes one up (some Foscam say 0), answers what was asked last: only the number of an
        # earlier question is that one's late or second answer.
        if waiting is not None and message.cseq not in range(1, waiting[0]):
            if not waiting[1].done():
                waiting[1].set_result(message)
            return
        self._count_unasked()
        self._on_late_answer(message)

    def on_read(self) -> None:
        """Tell the stream that a read has been split; one that was dear is followed by a pause."""
        self._on_media()
        pause = self._share.pause(self._at, self._clock.monotonic())
        if pause:
            self.wire.pause(pause)

    def on_closed(self, error: Exception | None) -> None:
        """Say why the connection has ended."""
        if isinstance(error, MalformedError):
            known = self.wire.parser.messages > 0
            cause = StreamCause.PROTOCOL_ERROR if known else StreamCause.NOT_RTSP
            self.fail(StreamError(cause, self.stage, str(error)))
        elif isinstance(error, ssl.SSLError):
            self.fail(StreamError(StreamCause.PROTOCOL_ERROR, self.stage, "the TLS connection broke"))
        else:
            how = "reset" if isinstance(error, ConnectionResetError) else "closed"
            self.fail(StreamError(StreamCause.CLOSED, self.stage, f"the device {how} the connection"))

    def _count_unasked(self) -> None:
        self._unasked += 1
        if self._unasked > MAX_UNASKED_MESSAGES:
            raise MalformedError("the device floods the connection with messages that were not asked for")

    def _too_late(self, method: str, seconds: float) -> StreamError:
        if self.wire.parser.message_pending:
            detail = f"the answer to {method} came too slowly: it was incomplete after {seconds:.3g} s"
            return StreamError(StreamCause.TOO_SLOW, self.stage, detail)
        return StreamError(StreamCause.TIMEOUT, self.stage, f"no answer to {method} within {seconds:.3g} s")


def _nothing() -> None:
    """Stand in until a stream is attached."""


def _nothing_of(_: Message) -> None:
    """Stand in until a stream is attached."""
