"""A small RTSP server (RFC 2326, TCP interleaved): many cameras on one address, with the limits of a cheap recorder."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections import Counter
from dataclasses import dataclass, replace
from typing import Final, Self
from urllib.parse import urlsplit

from agents.simulators import rtp
from agents.simulators.account import Account, Algorithm, Answer, Authenticator, Scheme
from agents.simulators.camera import Stream
from agents.simulators.encoder import AccessUnit
from agents.simulators.playback import Playback, Recordings
from agents.simulators.reset import reset
from agents.simulators.seats import Seat, Seats, WhenFull

_METHODS: Final = "OPTIONS, DESCRIBE, SETUP, PLAY, PAUSE, TEARDOWN, GET_PARAMETER, SET_PARAMETER"
_TRACK: Final = "/trackID=1"
_REPORT_EVERY_TICKS: Final = 5 * 90_000
_SLOW_READER_BYTES: Final = 1 << 20
_REASONS: Final = {
    200: "OK", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Stream Not Found", 405: "Method Not Allowed",
    453: "Not Enough Bandwidth", 454: "Session Not Found", 455: "Method Not Valid in This State",
    457: "Invalid Range", 461: "Unsupported Transport", 500: "Internal Server Error", 503: "Service Unavailable",
}  # fmt: skip


@dataclass(frozen=True)
class Request:
    """One RTSP request."""

    method: str
    url: str
    headers: dict[str, str]

    @property
    def path(self) -> str:
        """Return the stream's path: in lower case, without query and without the track's name."""
        return normal_path(urlsplit(self.url).path).removesuffix(_TRACK.lower())

    @property
    def asked(self) -> str:
        """Return the same with the query, by which some makes name their streams."""
        parts = urlsplit(self.url)
        return normal_path(parts.path + (f"?{parts.query}" if parts.query else "")).removesuffix(_TRACK.lower())


def normal_path(path: str) -> str:
    """Return the form in which paths are compared."""
    return "/" + path.strip("/").lower()


class _Silence(Exception):
    """The recorder gives no answer."""


@dataclass(frozen=True)
class Manners:
    """How a server behaves. `dead_status` answers for a dead camera (404, 500, 503)."""

    realm: str = "IP Camera"
    schemes: tuple[Scheme, ...] = ("Digest",)
    algorithm: Algorithm = "MD5"
    max_sessions: int | None = None
    when_full: WhenFull = WhenFull.NOT_ENOUGH_BANDWIDTH
    session_timeout_seconds: float = 60.0
    dead_status: int = 404
    parameter_sets_in_sdp: bool = True


class RtspServer:
    """One listening address. Use it as `async with`, or `start`, `die`, `start` again on the same port."""

    def __init__(
        self,
        account: Account | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        manners: Manners = Manners(),
    ) -> None:
        """Port 0 is chosen by the system at the first start; `account` None lets everyone in."""
        self.authenticator = Authenticator(account, manners.realm, schemes=manners.schemes, algorithm=manners.algorithm)
        self.host, self.port, self.manners = host, port, manners
        self.seats = Seats(manners.max_sessions, manners.when_full)
        self.forbidden_paths: set[str] = set()  # normal paths that the account has no right to watch
        self.requests: Counter[str] = Counter()
        self.connections_opened = 0
        self.recordings: Recordings | None = None
        self._streams: dict[str, Stream] = {}
        self._listener: asyncio.Server | None = None
        self._connections: set[_Connection] = set()

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop for good."""
        await self.close()

    @property
    def address(self) -> str:
        """Return host:port."""
        return f"{self.host}:{self.port}"

    def publish(self, path: str, stream: Stream) -> None:
        """Serve `stream` at `path` (compared without regard to case), which may have a query."""
        self._streams[normal_path(path)] = stream

    def find(self, request: Request) -> Stream | Playback | None:
        """Return the stream that a request is about, or the recording."""
        live = self._streams.get(request.asked) or self._streams.get(request.path)
        return self.recordings.of(request.asked) if live is None and self.recordings is not None else live

    def url(self, path: str) -> str:
        """Return the address of `path`, without credentials."""
        return f"rtsp://{self.address}/{path.strip('/')}"

    async def start(self) -> None:
        """Listen. Raises OSError when the address is taken."""
        if self._listener is None:
            self._listener = await asyncio.start_server(self._serve, self.host, self.port)
            self.port = self._listener.sockets[0].getsockname()[1]

    async def die(self) -> None:
        """Close the listener and reset every connection, as a device that lost its power or its line."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.close()
        for connection in list(self._connections):
            connection.abort()
        if listener is not None:
            await listener.wait_closed()

    async def close(self) -> None:
        """Stop everything, encoders included."""
        await self.die()
        for stream in self._streams.values():
            await stream.close()

    def stats(self) -> dict[str, int]:
        """Return counters of sessions, connections and requests by method."""
        requests = {f"requests_{method.lower()}": count for method, count in self.requests.items()}
        played = self.recordings.stats() if self.recordings is not None else {}
        return {**self.seats.stats(), **played, "connections_opened": self.connections_opened, **requests}

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(self, reader, writer)
        self._connections.add(connection)
        self.connections_opened += 1
        try:
            with contextlib.suppress(asyncio.CancelledError):  # the loop ends: this task is nobody's but ours
                await connection.run()
        finally:
            self._connections.discard(connection)
            connection.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


class _Session:
    """One client's stream: it has a seat, and numbers its own RTP packets."""

    def __init__(self, connection: _Connection, stream: Stream | Playback, channel: int) -> None:
        self.id = secrets.token_hex(4)
        self.stream, self.channel = stream, channel
        self.sender = rtp.RtpSender(secrets.randbits(32), secrets.randbits(16), secrets.randbits(32))
        self.seat = Seat(kicked=connection.close)
        self._connection = connection
        self._needs_keyframe = True
        self._reported_at: int | None = None

    def show(self, unit: AccessUnit, ticks: int, extension: bytes = b"") -> None:
        if self._connection.lags():
            self._needs_keyframe = True  # a slow reader loses pictures up to the next keyframe, not memory here
            return
        if self._needs_keyframe and not unit.keyframe:
            return
        self._needs_keyframe = False
        self._report(ticks)
        parts = rtp.payloads(unit.nals)
        if unit.keyframe:
            parts.insert(0, rtp.aggregate(self.stream.parameter_sets))
        packets = self.sender.packets(parts, ticks, extension)
        self._connection.send(b"".join(rtp.interleaved(self.channel, packet) for packet in packets))

    def end(self) -> None:
        self._connection.close()

    def _report(self, ticks: int) -> None:
        if self._reported_at is None or ticks - self._reported_at >= _REPORT_EVERY_TICKS:
            self._reported_at = ticks
            self._connection.send(rtp.interleaved(self.channel + 1, self.sender.report(ticks, time.time())))


class _Connection:
    """One client's TCP connection; it holds at most one session, which ends with it."""

    def __init__(self, server: RtspServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._server, self._reader, self._writer = server, reader, writer
        self._session: _Session | None = None

    async def run(self) -> None:
        with contextlib.suppress(OSError, EOFError, TimeoutError, ValueError, asyncio.LimitOverrunError):
            while not self._writer.is_closing():
                async with asyncio.timeout(self._server.manners.session_timeout_seconds):
                    request = await self._next_request()
                if request is not None:
                    self._answer(request)
                    await self._writer.drain()

    def lags(self) -> bool:
        return self._writer.transport.get_write_buffer_size() > _SLOW_READER_BYTES

    def send(self, data: bytes) -> None:
        if not self._writer.is_closing():
            self._writer.write(data)

    def close(self) -> None:
        self._drop_session()
        self._writer.close()

    def abort(self) -> None:
        self._drop_session()
        reset(self._writer)

    def _drop_session(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.stream.leave(session)
            self._server.seats.leave(session.seat)

    async def _next_request(self) -> Request | None:
        """Return the next request, or None for an interleaved packet: a client's receiver report keeps it alive."""
        first = await self._reader.readexactly(1)
        if first == b"$":
            head = await self._reader.readexactly(3)
            await self._reader.readexactly(int.from_bytes(head[1:], "big"))
            return None
        if first in b"\r\n":
            return None
        text = (first + await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        start, *lines = text.rstrip("\r\n").split("\r\n")
        method, url, version = start.split(" ")
        if not version.startswith("RTSP/"):
            raise ValueError(version)
        headers = {key.strip().lower(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
        await self._reader.readexactly(int(headers.get("content-length", "0")))
        return Request(method, url, headers)

    def _answer(self, request: Request) -> None:
        self._server.requests[request.method] += 1
        try:
            status, headers, body = self._handle(request)
        except _Silence:
            return
        lines = [f"RTSP/1.0 {status} {_REASONS[status]}", f"CSeq: {request.headers.get('cseq', '0')}", *headers]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        self.send(("\r\n".join(lines) + "\r\n\r\n").encode() + body)

    def _handle(self, request: Request) -> _Reply:
        if "cseq" not in request.headers:
            return _plain(400)
        if request.method == "OPTIONS":
            return _plain(200, f"Public: {_METHODS}")
        handler = {
            "DESCRIBE": self._describe,
            "SETUP": self._setup,
            "PLAY": self._play,
            "PAUSE": self._pause,
            "TEARDOWN": self._teardown,
            "GET_PARAMETER": self._keep_alive,
            "SET_PARAMETER": self._keep_alive,
        }.get(request.method)
        if handler is None:
            return _plain(405, f"Allow: {_METHODS}")
        door = self._server.authenticator
        answer = door.check(request.method, request.url, request.headers.get("authorization"))
        if answer is not Answer.OK:
            challenges = door.challenges(stale=answer is Answer.STALE)
            return _plain(401, *(f"WWW-Authenticate: {challenge}" for challenge in challenges))
        recordings = self._server.recordings
        refused = recordings.refusal(request.asked) if recordings is not None else None
        if request.path in self._server.forbidden_paths or refused == 403:
            return _plain(403)
        if refused == 401:
            return _plain(401, *(f"WWW-Authenticate: {challenge}" for challenge in door.challenges()))
        return handler(request) if refused is None else _plain(refused)

    def _find(self, request: Request) -> Stream | Playback | None:
        stream = self._server.find(request)
        return None if stream is None or stream.is_dead else stream

    def _missing(self, request: Request) -> _Reply:
        """Answer for a path that nothing is at (404), or whose camera is dead (as this recorder does)."""
        return _plain(404 if self._server.find(request) is None else self._server.manners.dead_status)

    def _describe(self, request: Request) -> _Reply:
        stream = self._find(request)
        if stream is None:
            return self._missing(request)
        plain = self._server.find(replace(request, url=request.url.partition("?")[0]))
        named_by_query = stream is not plain and "?" in request.url
        base = (request.url if named_by_query else request.url.partition("?")[0]).rstrip("/")
        sdp = rtp.describe(
            self._server.host,
            base + _TRACK,
            stream.parameter_sets,
            fps=stream.form.fps,
            in_sdp=self._server.manners.parameter_sets_in_sdp,
            time_range=stream.range,
        )
        return 200, [f"Content-Base: {base}/", "Content-Type: application/sdp"], sdp.encode()

    def _setup(self, request: Request) -> _Reply:
        stream = self._find(request)
        if stream is None:
            return self._missing(request)
        if self._session is not None:
            return _plain(455)
        channel = _interleaved_channel(request.headers.get("transport", ""))
        if channel is None:
            return _plain(461)
        session = _Session(self, stream, channel)
        if not self._server.seats.take(session.seat):
            return self._full()
        self._session = session
        transport = f"RTP/AVP/TCP;unicast;interleaved={channel}-{channel + 1};ssrc={session.sender.ssrc:08x};mode=play"
        return _plain(200, f"Transport: {transport}", self._session_header(session))

    def _full(self) -> _Reply:
        when_full = self._server.seats.when_full
        if when_full is WhenFull.SILENCE:
            raise _Silence
        return _plain(int(when_full.value))

    def _session_header(self, session: _Session) -> str:
        return f"Session: {session.id};timeout={self._server.manners.session_timeout_seconds:.0f}"

    def _named_session(self, request: Request) -> _Session | None:
        named = request.headers.get("session", "").partition(";")[0].strip()
        return self._session if self._session is not None and named == self._session.id else None

    def _play(self, request: Request) -> _Reply:
        session = self._named_session(request)
        if session is None:
            return _plain(454)
        cued = session.stream.cue(request.headers.get("range", ""), request.headers.get("require", ""))
        if isinstance(cued, int):
            return _plain(cued)
        info = f"url={request.url};seq={session.sender.sequence};rtptime={session.sender.first_timestamp}"
        session.stream.watch(session)
        return _plain(200, self._session_header(session), f"Range: {cued}", f"RTP-Info: {info}")

    def _pause(self, request: Request) -> _Reply:
        session = self._named_session(request)
        if session is None:
            return _plain(454)
        session.stream.leave(session)
        return _plain(200, self._session_header(session))

    def _teardown(self, request: Request) -> _Reply:
        if self._named_session(request) is None:
            return _plain(454)
        self._drop_session()
        return _plain(200)

    def _keep_alive(self, request: Request) -> _Reply:
        if "session" not in request.headers:
            return _plain(200)
        session = self._named_session(request)
        return _plain(454) if session is None else _plain(200, self._session_header(session))


_Reply = tuple[int, list[str], bytes]


def _plain(status: int, *headers: str) -> _Reply:
    return status, list(headers), b""


def _interleaved_channel(transport: str) -> int | None:
    """Return the RTP channel that a client asks for over TCP, or None for a transport that is not served."""
    for offer in transport.split(","):
        fields = [part.strip() for part in offer.split(";")]
        if fields[0].upper() != "RTP/AVP/TCP":
            continue
        wanted = next((part.partition("=")[2] for part in fields if part.startswith("interleaved=")), "0-1")
        first = wanted.partition("-")[0]
        return int(first) if first.isdigit() and int(first) < 255 else None
    return None
