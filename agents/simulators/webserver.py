"""A small HTTP/1.1 server over asyncio streams: keep-alive and Content-Length bodies, enough for a device's API."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from agents.simulators.reset import reset

_MAX_BODY_BYTES: Final = 1 << 20
_IDLE_SECONDS: Final = 30.0
_PHRASES: Final = {one.value: one.phrase for one in HTTPStatus}


@dataclass(frozen=True)
class Request:
    """One HTTP request; header names are in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        """Return the path without its query and without a closing slash."""
        return urlsplit(self.target).path.rstrip("/")


@dataclass(frozen=True)
class Response:
    """One HTTP response; `headers` may repeat a name."""

    status: int
    body: bytes = b""
    content_type: str = 'application/xml; charset="UTF-8"'
    headers: list[tuple[str, str]] = field(default_factory=list)


Handler = Callable[[Request], Awaitable[Response]]


class WebServer:
    """One listening address, answered by `handler`; `die` resets its connections, `start` opens the same port again."""

    def __init__(
        self, handler: Handler, *, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
    ) -> None:
        """Port 0 is chosen by the system at the first start; with `tls` it speaks https alone."""
        self.handler, self.host, self.port, self.tls = handler, host, port, tls
        self._listener: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def address(self) -> str:
        """Return host:port."""
        return f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """Return http://host:port, or https."""
        return f"{'https' if self.tls else 'http'}://{self.address}"

    async def start(self) -> None:
        """Listen. Raises OSError when the address is taken."""
        if self._listener is None:
            self._listener = await asyncio.start_server(self._serve, self.host, self.port, ssl=self.tls)
            self.port = self._listener.sockets[0].getsockname()[1]

    async def die(self) -> None:
        """Close the listener and reset every connection."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.close()
        for writer in list(self._writers):
            reset(writer)
        if listener is not None:
            await listener.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            with contextlib.suppress(
                OSError, EOFError, TimeoutError, ValueError, asyncio.LimitOverrunError, asyncio.CancelledError
            ):
                while await self._serve_one(reader, writer):
                    pass
        finally:
            self._writers.discard(writer)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        async with asyncio.timeout(_IDLE_SECONDS):
            request, version = await _read(reader)
        if request is None:
            response, stays = Response(411), False
        else:
            response = await self.handler(request)
            stays = version != "HTTP/1.0" and request.headers.get("connection", "").lower() != "close"
        writer.write(_render(response, keep_alive=stays))
        await writer.drain()
        return stays


async def _read(reader: asyncio.StreamReader) -> tuple[Request | None, str]:
    """Return a request and its HTTP version; None in place of a request whose body has no stated length."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    start, *lines = head.rstrip("\r\n").split("\r\n")
    method, target, version = start.split(" ")
    headers = {key.strip().lower(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    if "transfer-encoding" in headers:
        return None, version
    length = int(headers.get("content-length", "0"))
    if not 0 <= length <= _MAX_BODY_BYTES:
        raise ValueError(f"a body of {length} bytes")
    return Request(method, target, headers, await reader.readexactly(length)), version


def _render(response: Response, *, keep_alive: bool) -> bytes:
    lines = [
        f"HTTP/1.1 {response.status} {_PHRASES.get(response.status, 'Unknown')}",
        f"Content-Type: {response.content_type}",
        f"Content-Length: {len(response.body)}",
        f"Connection: {'keep-alive' if keep_alive else 'close'}",
        *(f"{name}: {value}" for name, value in response.headers),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + response.body
