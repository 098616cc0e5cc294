"""What is answered to reports that there is no place for, made ready: making such an answer costs several times what sending it does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus

from starlette.types import ASGIApp, Message

from dashboards.logs import at_once
from dashboards.web.guard import SafeHeaders
from monitor.api.load import RETRY_SECONDS, refusal
from monitor.api.problems import response_to
from monitor.api.routes import REPORTS

_STATUS = b"HTTP/1.1 %d %b\r\n" % (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.SERVICE_UNAVAILABLE.phrase.encode())


@dataclass(frozen=True, slots=True)
class Refusals:
    """The application's answers by their seconds of Retry-After, each from its first header on."""

    _closing: Mapping[int, bytes]
    _keeping: Mapping[int, bytes]
    _log: Callable[[], None]

    def closing(self, seconds: int) -> bytes:
        """Return what is said on a connection that ends with it."""
        return _STATUS + self._closing[seconds]

    def keeping(self, seconds: int, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
        """Log one; return what is said on a connection that goes on. `headers` are the server's own, which come first."""
        self._log()
        return b"".join((_STATUS, *(b"%b: %b\r\n" % header for header in headers), self._keeping[seconds]))


async def make_ready() -> Refusals:
    """Ask the application once for each answer."""
    log = at_once("POST", REPORTS, HTTPStatus.SERVICE_UNAVAILABLE.value)
    return Refusals(await _by_seconds(close=True), await _by_seconds(close=False), log)


async def _by_seconds(*, close: bool) -> dict[int, bytes]:
    every = range(RETRY_SECONDS[0], RETRY_SECONDS[1] + 1)
    return {one: await _sent_by(SafeHeaders(response_to(REPORTS, refusal(one, close=close)))) for one in every}


async def _sent_by(app: ASGIApp) -> bytes:
    """Return an application's answer as it goes over the line, without the line of its status."""
    parts: list[bytes] = []

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            parts.extend(b"%b: %b\r\n" % header for header in message["headers"])
            parts.append(b"\r\n")
        else:
            parts.append(message["body"])

    async def receive() -> Message:
        raise RuntimeError("an answer that is ready asks for nothing")

    await app({"type": "http"}, receive, send)
    return b"".join(parts)
