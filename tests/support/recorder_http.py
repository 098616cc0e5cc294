"""A small HTTP server for tests of recorder drivers: digest login by the book, and any answer that a test wants."""

import asyncio
import hashlib
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from agents.breaker import Breaker
from agents.recorders.settings import RecorderSettings
from agents.rtsp.address import AddressBook
from monitor.model.clock import Clock, SystemClock

USER, PASSWORD = "compliance", "pässwörd: 1"


@dataclass
class Asked:
    """A request as it came in."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def has_credentials(self) -> bool:
        return "authorization" in self.headers


@dataclass
class Reply:
    """An answer to write; `raw` bytes go out as they are, and `hang` leaves the line open without one."""

    status: int = 200
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    raw: bytes | None = None
    hang: bool = False


Handler = Callable[[Asked], Reply | Awaitable[Reply]]


@dataclass
class Door:
    """Digest login as RFC 7616 says; counts what a device would count."""

    user: str = USER
    password: str = PASSWORD
    algorithms: tuple[str, ...] = ("MD5",)
    qop: str | None = "auth"
    refused: int = 0
    accepted: int = 0
    stale_next: bool = False
    nonces_once: bool = False
    """A nonce that comes again is refused, as if the password were wrong."""
    _nonces: int = 0
    _count: int = 0

    def check(self, asked: Asked) -> Reply | None:
        """Return the 401 to send, or None when the request may pass."""
        given = {
            name: quoted or plain
            for name, quoted, plain in re.findall(
                r'(\w+)=(?:"([^"]*)"|([^,\s]+))', asked.headers.get("authorization", "")
            )
        }
        if not given:
            return self._challenge()
        if self.stale_next:
            self.stale_next = False
            return self._challenge(stale=True)
        if given.get("nonce") == f"nonce{self._nonces}" and given.get("response") == self._response(asked, given):
            last, self._count = self._count, int(given.get("nc", "1"), 16)
            if last == 0 or (self._count > last and not self.nonces_once):
                self.accepted += 1
                return None
        self.refused += 1
        return self._challenge()

    def _challenge(self, *, stale: bool = False) -> Reply:
        self._nonces, self._count = self._nonces + 1, 0
        qop = f', qop="{self.qop}"' if self.qop else ""
        challenges = tuple(
            (
                "WWW-Authenticate",
                f'Digest realm="DVRNVRDVS", nonce="nonce{self._nonces}", stale="{str(stale).upper()}", algorithm={algorithm}{qop}',
            )
            for algorithm in self.algorithms
        )
        return Reply(401, b"", challenges)

    def _response(self, asked: Asked, given: dict[str, str]) -> str:
        digest = {"SHA-256": hashlib.sha256, "MD5": hashlib.md5}[given.get("algorithm", "MD5").removesuffix("-sess")]

        def h(text: str) -> str:
            return digest(text.encode()).hexdigest()

        secret, what = h(f"{self.user}:DVRNVRDVS:{self.password}"), h(f"{asked.method}:{asked.target}")
        if given.get("algorithm", "").endswith("-sess"):
            secret = h(f"{secret}:{given['nonce']}:{given['cnonce']}")
        if "qop" in given:
            return h(f"{secret}:{given['nonce']}:{given['nc']}:{given['cnonce']}:{given['qop']}:{what}")
        return h(f"{secret}:{given['nonce']}:{what}")


@dataclass
class Server:
    """A running server: where it is, and what it was asked."""

    port: int = 0
    asked: list[Asked] = field(default_factory=list)
    most_at_once: int = 0
    _now: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def requests(self, *, with_credentials: bool = True) -> list[str]:
        """Return METHOD TARGET of what came with (or without) credentials."""
        return [f"{one.method} {one.target}" for one in self.asked if one.has_credentials is with_credentials]


@asynccontextmanager
async def serving(handler: Handler, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """Serve `handler` on a free port of 127.0.0.1."""
    server = Server()
    tasks: set[asyncio.Task[Any]] = set()

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                await _answer(server, handler, reader, writer)
        writer.close()

    listener = await asyncio.start_server(connection, "127.0.0.1", 0, ssl=tls)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await listener.wait_closed()


async def _answer(server: Server, handler: Handler, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _ = head[0].split(" ", 2)
    headers = {
        name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)
    }
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    asked = Asked(method, target, headers, body)
    server.asked.append(asked)
    server._now += 1
    server.most_at_once = max(server.most_at_once, server._now)
    try:
        found = handler(asked)
        reply = found if isinstance(found, Reply) else await found
        if reply.hang:
            await reader.read()
            raise ConnectionError
    finally:
        server._now -= 1
    if reply.raw is not None:
        writer.write(reply.raw)
        await writer.drain()
        raise ConnectionError
    lines = [
        f"HTTP/1.1 {reply.status} X",
        f"Content-Length: {len(reply.body)}",
        *(f"{k}: {v}" for k, v in reply.headers),
    ]
    writer.write("\r\n".join([*lines, "", ""]).encode() + reply.body)
    await writer.drain()


def behind(door: Door, handler: Handler) -> Handler:
    """Let only those pass whom the door knows."""

    def guarded(asked: Asked) -> Reply | Awaitable[Reply]:
        return door.check(asked) or handler(asked)

    return guarded


def recorder_settings(folder: Path, url: str = "", **changes: Any) -> RecorderSettings:
    """Return settings with a real breaker and address book, for a device on loopback."""
    clock: Clock = changes.pop("clock", SystemClock())
    values: dict[str, Any] = {
        "id": "nvr",
        "driver": "hikvision",
        "timezone": ZoneInfo("Asia/Shanghai"),
        "addresses": AddressBook([ip_network("127.0.0.0/8")]),
        "breaker": Breaker(folder / "breaker.sqlite", clock),
        "clock": clock,
        "url": url,
        "username": USER,
        "password": PASSWORD,
        "base_dir": folder,
        "state_dir": folder,
    }
    return RecorderSettings(**{**values, **changes})


NOW = datetime(2026, 11, 23, 4, tzinfo=UTC)
"""Noon in Shanghai, the present of the tests."""
