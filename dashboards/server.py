"""uvicorn's server as the collector uses it: its event loop's turns are counted, and a gate lets connections in."""

from __future__ import annotations

import asyncio
from functools import partial
from http import HTTPStatus
from socket import socket

import uvicorn
from starlette.types import ASGIApp, Message

from dashboards.door import Door
from dashboards.gate import Gate
from dashboards.web.guard import SafeHeaders
from monitor.api.load import RETRY_SECONDS, Load, refusal
from monitor.api.problems import response_to
from monitor.api.routes import REPORTS


class CollectorServer(uvicorn.Server):
    """A server that counts the turns of its event loop, ten a second, and has a gate before its door."""

    turns = 0

    async def on_tick(self, counter: int) -> bool:
        """Count a turn."""
        self.turns += 1
        return await super().on_tick(counter)

    async def startup(self, sockets: list[socket] | None = None) -> None:
        """Begin to answer at these sockets. What comes by TLS can't be read from before the door: there is no gate."""
        if self.config.ssl is not None or sockets is None:
            await super().startup(sockets)
            return
        await super().startup([])
        make = partial(
            Door,
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
            _loop=asyncio.get_running_loop(),
        )
        load = self.lifespan.state.get("load") or Load()
        refusals = {seconds: await _refused(seconds) for seconds in range(RETRY_SECONDS[0], RETRY_SECONDS[1] + 1)}
        self.servers = [Gate(one, make, load, refusals) for one in sockets]  # type: ignore[misc]  # closed alike


async def _refused(seconds: int) -> bytes:
    """Return what the application answers to a report that it has no place for."""
    return await _sent_by(SafeHeaders(response_to(REPORTS, refusal(seconds, close=True))))


async def _sent_by(app: ASGIApp) -> bytes:
    """Return an application's answer as it goes over the line."""
    parts: list[bytes] = []

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            status = HTTPStatus(message["status"])
            parts.append(f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode())
            parts.extend(b"%b: %b\r\n" % header for header in message["headers"])
            parts.append(b"\r\n")
        else:
            parts.append(message["body"])

    async def receive() -> Message:
        raise RuntimeError("an answer that is ready asks for nothing")

    await app({"type": "http"}, receive, send)
    return b"".join(parts)
