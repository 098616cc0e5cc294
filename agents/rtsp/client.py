"""From a URL to a playing stream: connect, OPTIONS, DESCRIBE, SETUP, PLAY, each within its deadline."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import socket
import ssl

from agents.breaker import Breaker
from agents.device_tls import device_tls, hint
from agents.rtsp.address import AddressBook
from agents.rtsp.connection import Connection
from agents.rtsp.errors import MalformedError, Stage, StreamError
from agents.rtsp.habit import Habits
from agents.rtsp.message import USUAL_TIMEOUT_SECONDS, Message, interleaved_of, session_of, status_error
from agents.rtsp.ranges import clock_range
from agents.rtsp.request import Deadlines, StreamRequest
from agents.rtsp.rtp import AccessUnits
from agents.rtsp.sdp import Video, parse_description
from agents.rtsp.session import Requester, Session, Trace
from agents.rtsp.stream import Stream, StreamInfo
from monitor.model.clock import Clock
from monitor.model.observation import StreamCause

DEFAULT_DEADLINES = Deadlines()
KEPT_SECONDS = 300.0
"""A name whose address is older may have another one by now; a check, or an agent that has just begun, asked a moment ago."""
_OPTIONS_DECIDES = frozenset({453, 500, 503})
"""Answers to OPTIONS that end the matter; others leave it to DESCRIBE, as devices answer OPTIONS carelessly."""


async def open_stream(
    request: StreamRequest,
    addresses: AddressBook,
    deadlines: Deadlines = DEFAULT_DEADLINES,
    *,
    clock: Clock,
    breaker: Breaker | None = None,
    habits: Habits | None = None,
    trace: Trace | None = None,
) -> Stream:
    """Open a stream and return it once PLAY was answered; that frames arrive is for its reader to see.

    The device is contacted at its pinned address only. Credentials go out only after a challenge, once, and only when
    the breaker allows it. What `habits` knows of the device is heeded and added to. `trace` is told each step in a line, for people. Raises StreamError; nothing stays open then.
    """
    opening = _Opening(request, addresses, deadlines, clock, breaker, habits or Habits(), trace or _silent)
    try:
        async with asyncio.timeout_at(opening.until + 0.05):  # each step has its own, more telling deadline
            return await opening.run()
    except TimeoutError:
        error = StreamError(StreamCause.TIMEOUT, opening.stage, f"not open after {deadlines.total:g} s")
        opening.abandon(error.again())
        raise error from None
    except BaseException:
        opening.abandon(StreamError(StreamCause.CLOSED, opening.stage, "the stream was given up"))
        raise


class _Opening:
    """The steps of one opening, in order."""

    def __init__(
        self,
        request: StreamRequest,
        addresses: AddressBook,
        deadlines: Deadlines,
        clock: Clock,
        breaker: Breaker | None,
        habits: Habits,
        trace: Trace,
    ) -> None:
        self._request = request
        self._addresses = addresses
        self._deadlines = deadlines
        self._breaker = breaker
        self._habit = habits.of(f"{request.host}:{request.port}")
        self._trace = trace
        self._session: Session | None = None
        self._loop = asyncio.get_running_loop()
        self.until = self._loop.time() + deadlines.total
        self._connection = Connection(clock)

    @property
    def stage(self) -> Stage:
        return self._connection.stage

    async def run(self) -> Stream:
        address = await self._addresses.resolve(self._request.host, self._request.port)
        fingerprint = await self._connect(address)
        requester = Requester(
            self._connection,
            self._request,
            address,
            self._breaker,
            self._habit,
            self._deadlines.answer,
            self.until,
            self._trace,
        )
        public = await self._options(requester)
        video, server = await self._describe(requester)
        session = await self._set_up(requester, video, public)
        self._session = session
        units = AccessUnits(video.codec, video.clock_rate, video.parameter_sets, video.size)
        units.dated = self._request.playback is not None
        info = StreamInfo(video.codec, None, None, video.clock_rate, server, fingerprint, clock_range(video.time_range))
        stream = Stream(self._connection, session, units, info, self._deadlines)
        self._connection.stage = "play"
        answer = await requester.ask("PLAY", session.url, session.headers() | self._from_when())
        _succeed(answer, self._connection)
        stream.start(clock_range(answer.header("Range")))
        return stream

    def _from_when(self) -> dict[str, str]:
        """Return PLAY's own headers."""
        playback = self._request.playback
        if playback is None:
            return {"Range": "npt=0.000-"}
        return {"Range": playback.range or "npt=0.000-", **dict(playback.play_headers)}

    def abandon(self, error: StreamError) -> None:
        """Close the socket, and let the device know where it holds a session."""
        if self._session is not None and self._connection.error is None:
            self._session.requester.tell("TEARDOWN", self._session.url, self._session.headers())
        self._connection.fail(error)

    def _kept(self) -> str:
        """Return what to do where the address is a name's and was asked for long ago; nothing where it was a moment ago, as in a check."""
        host = self._request.host
        if self._addresses.kept_seconds(host) <= KEPT_SECONDS:
            return ""
        return f"; the agent keeps the address of {host} while it runs: start it anew if that has changed"

    async def _connect(self, address: str) -> str | None:
        """Connect to the address; return the certificate's fingerprint, None without TLS."""
        port = self._request.port
        where = f"{address}:{port}"
        before = self._loop.time()
        seconds = min(self._deadlines.connect, self.until - before)
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        connecting = socket.socket(family, socket.SOCK_STREAM)
        try:
            connecting.setblocking(False)
            async with asyncio.timeout(seconds):
                await self._loop.sock_connect(connecting, (address, port))
        except BaseException as error:
            connecting.close()
            if isinstance(error, OSError):  # a timeout is one too
                raise _no_connection(error, where, seconds, self._kept()) from None
            raise
        self._trace(f"connected to {where} after {(self._loop.time() - before) * 1000:.0f} ms")
        return await self._wrap(connecting)

    async def _wrap(self, connected: socket.socket) -> str | None:
        """Put the protocol on the socket, with TLS where asked for."""
        wire = self._connection.wire
        if not self._request.secure:
            await self._loop.create_connection(lambda: wire, sock=connected)
            self._connection.stage = "options"
            return None
        seconds = min(self._deadlines.answer, self.until - self._loop.time())
        try:
            async with asyncio.timeout(seconds):
                transport, _ = await self._loop.create_connection(
                    lambda: wire,
                    sock=connected,
                    ssl=_tls(old=self._request.old_tls),
                    server_hostname=self._request.host,
                )
        except TimeoutError:
            detail = f"no TLS handshake within {seconds:.3g} s"
            raise StreamError(StreamCause.TIMEOUT, "connect", detail) from None
        except ssl.SSLError:
            detail = f"TLS could not be agreed on: check that this is the device's rtsps port{hint(old=self._request.old_tls)}"
            raise StreamError(StreamCause.PROTOCOL_ERROR, "connect", detail) from None
        except OSError:
            old = self._request.old_tls
            detail = f"the device closed the connection during the TLS handshake: check its port{hint(old=old)}"
            raise StreamError(StreamCause.CLOSED, "connect", detail) from None
        self._connection.stage = "options"
        return self._pinned(transport)

    def _pinned(self, transport: asyncio.Transport) -> str:
        """Return the certificate's fingerprint. Raises StreamError when another one is pinned."""
        certificate = transport.get_extra_info("ssl_object").getpeercert(binary_form=True) or b""
        fingerprint = hashlib.sha256(certificate).hexdigest()
        self._trace(f"TLS certificate SHA-256 {fingerprint}")
        if self._request.tls_fingerprint not in (None, fingerprint):
            detail = (
                "the device shows another TLS certificate than the known one: if it was exchanged or its certificate"
                f" renewed, set tls_fingerprint to {fingerprint}"
            )
            raise StreamError(StreamCause.CERTIFICATE, "connect", detail)
        return fingerprint

    async def _options(self, requester: Requester) -> str:
        """Return the Public header: it says how to keep the session alive."""
        answer = await requester.ask_once("OPTIONS", self._request.url)
        status = answer.status or 0
        elsewhere = 300 <= status < 400 and _moved_to(answer, self._request.url) is None
        if status in _OPTIONS_DECIDES or elsewhere:
            raise status_error(status, "options")
        return answer.header("Public") or ""

    async def _describe(self, requester: Requester) -> tuple[Video, str | None]:
        self._connection.stage = "describe"
        url = self._request.url
        answer = await requester.ask("DESCRIBE", url, {"Accept": "application/sdp"})
        moved = _moved_to(answer, url)
        if moved is not None:
            self._trace("the device redirects to another path of its own")
            url = moved
            answer = await requester.ask("DESCRIBE", url, {"Accept": "application/sdp"})
        _succeed(answer, self._connection)
        base = answer.header("Content-Base") or answer.header("Content-Location") or url
        video = parse_description(answer.body, base, url)
        self._trace(f"video {video.codec}, {len(video.parameter_sets)} parameter sets in the description")
        return video, _shown(answer.header("Server"))

    async def _set_up(self, requester: Requester, video: Video, public: str) -> Session:
        self._connection.stage = "setup"
        wish = {"Transport": "RTP/AVP/TCP;unicast;interleaved=0-1"}
        answer = await requester.ask("SETUP", video.control_url, wish)
        _succeed(answer, self._connection)
        told = answer.header("Session")
        try:  # some devices have none, and play
            identifier, timeout_seconds = ("", USUAL_TIMEOUT_SECONDS) if told is None else session_of(told)
        except MalformedError as error:
            raise StreamError(StreamCause.PROTOCOL_ERROR, "setup", str(error)) from None
        try:
            channel = interleaved_of(answer.header("Transport"))
        except MalformedError as error:
            raise StreamError(StreamCause.PROTOCOL_ERROR, "setup", str(error), inconclusive=True) from None
        self._trace(f"session timeout {timeout_seconds:g} s, channel {channel}")
        method = self._habit.method(public)
        return Session(requester, video.play_url, identifier, timeout_seconds, channel, method, self._habit)


def _no_connection(error: OSError, where: str, seconds: float, kept: str) -> StreamError:
    if isinstance(error, TimeoutError) and error.errno is None:
        detail = f"{where} did not complete a connection within {seconds:.3g} s{kept}"
        return StreamError(StreamCause.NO_CONNECTION, "connect", detail)
    if isinstance(error, ConnectionRefusedError):
        return StreamError(StreamCause.REFUSED, "connect", f"{where} refuses connections{kept}")
    detail = f"{where} cannot be reached ({error.strerror or type(error).__name__}){kept}"
    return StreamError(StreamCause.NO_CONNECTION, "connect", detail)


def _moved_to(answer: Message, url: str) -> str | None:
    """Return where a redirect leads when that is on the same scheme, host and port; None for all else."""
    location = answer.header("Location") or ""
    if not 300 <= (answer.status or 0) < 400:
        return None
    try:
        there, here = StreamRequest(location), StreamRequest(url)
    except ValueError:
        return None
    same = (there.secure, there.host, there.port) == (here.secure, here.host, here.port)
    return there.url if same and there.url != here.url else None


def _succeed(answer: Message, connection: Connection) -> None:
    """Raise the StreamError that an answer other than 2xx stands for."""
    if not 200 <= (answer.status or 0) < 300:
        raise status_error(answer.status or 0, connection.stage)


@functools.cache
def _tls(*, old: bool) -> ssl.SSLContext:
    """Return what all streams share; HTTP's own contexts offer HTTP in the handshake."""
    return device_tls(old=old)


def _shown(text: str | None) -> str | None:
    """Return a device's own words, printable and short."""
    if text is None:
        return None
    return "".join(char for char in text[:100] if char.isprintable() and not 0xD800 <= ord(char) <= 0xDFFF) or None


def _silent(_: str) -> None:
    """Tell nobody."""
