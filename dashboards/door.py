"""Bounds what a connection may cost before a request is there: how long its head may be, and how long it may take."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

MOST_HEAD_BYTES = 64 * 1024
"""Of a request's line and headers, and of what may come after a body: uvicorn keeps all of it, and names no limit."""
HEAD_SECONDS = 30.0
"""From the connection, or the answer before, until a request's head is there: else connections are held for nothing."""

_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Door(HttpToolsProtocol):
    """uvicorn's protocol with these bounds. What a request's body may cost is the application's matter."""

    def __init__(self, *args: Any, **named: Any) -> None:
        """Begin with nothing read."""
        super().__init__(*args, **named)
        self._got_on = False
        self._kept = 0
        self._patience: asyncio.TimerHandle | None = None
        self.when_answered: Callable[[], None] | None = None
        """Called once, when the first request is answered or the connection is over."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """Wait for a request, not for ever."""
        try:
            super().connection_made(transport)
            self._await_head()
        except BaseException:
            # An event loop that logs this keeps a connection that nobody serves, and never tells its end.
            self.leave()
            transport.abort()
            raise

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self.leave()
        self._wait_no_more()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on; what neither ends a head nor belongs to a body is kept, and may be so much."""
        self._got_on = False
        super().data_received(data)
        self._kept = 0 if self._got_on else self._kept + len(data)
        if self._kept > MOST_HEAD_BYTES and not self.transport.is_closing():
            if self._is_idle():
                self.transport.write(_TOO_LARGE)
            self.transport.close()

    def on_headers_complete(self) -> None:
        """Take the request."""
        self._got_on = True
        self._wait_no_more()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Hand a part of the body on."""
        self._got_on = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is there."""
        self._got_on = True
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        self.leave()
        self._await_head()

    def leave(self) -> None:
        """Say that the first request needs nothing any more."""
        if self.when_answered is not None:
            tell, self.when_answered = self.when_answered, None
            tell()

    def _is_idle(self) -> bool:
        cycle = cast("RequestResponseCycle | None", self.cycle)  # none before the first request
        return cycle is None or cycle.response_complete

    def _await_head(self) -> None:
        self._wait_no_more()
        if not self.transport.is_closing():
            self._patience = self.loop.call_later(HEAD_SECONDS, self._too_late)

    def _wait_no_more(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _too_late(self) -> None:
        self._patience = None
        if self._is_idle() and not self.transport.is_closing():
            self.transport.close()
