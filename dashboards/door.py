"""Bounds what a connection may cost before a request is worked on: how long its head may be, how long it may take, and a refusal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from dashboards.refusals import Refusals
from monitor.api.load import LITTLE_BYTES, Load
from monitor.api.routes import REPORTS

MOST_HEAD_BYTES = 64 * 1024
"""Of a request's line and headers, and of what may come after a body: uvicorn keeps all of it, and names no limit."""
HEAD_SECONDS = 30.0
"""From the connection, or the answer before, until a request's head is there: else connections are held for nothing."""

_REPORTS = REPORTS.encode()
_LITTLE_DIGITS = len(str(LITTLE_BYTES))
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Door(HttpToolsProtocol):
    """uvicorn's protocol with these bounds. What a request's body may cost is the application's matter.

    On a connection that is kept, a report that there is no place for is answered here as the application would answer it,
    where that leaves nothing to be decided: it is small, says so, and nothing before it is still to be answered.
    """

    def __init__(self, refusals: Refusals, *args: Any, **named: Any) -> None:
        """Begin with nothing read."""
        super().__init__(*args, **named)
        self._refusals = refusals
        self._load: Load | None = self.app_state.get("load")
        self._away = False
        """Whether the request that is being read was turned away: what comes of its body is nobody's."""
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
        """Take the request, or turn it away."""
        self._got_on = True
        self._wait_no_more()
        self._unset_keepalive_if_required()  # a report that was turned away in the same piece has set it
        if self._load is not None and self._load.is_full() and self._is_little_report():
            self._away = True
            self.transport.write(self._refusals.keeping(self._load.turn_away(), self.server_state.default_headers))
            self.leave()
            self._await_head()  # and what is still to come of this body
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Hand a part of the body on."""
        self._got_on = True
        if not self._away:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is there."""
        self._got_on = True
        if self._away:
            self._away = False
            self.on_response_complete()
        else:
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

    def _is_little_report(self) -> bool:
        """Tell whether a request has reports and a body that costs less to throw away than the connection, and may be answered at once."""
        return (
            self.url == _REPORTS
            and self.parser.get_method() == b"POST"
            and self._says_little()
            and not self.expect_100_continue
            and self.parser.should_keep_alive()
            and self.parser.get_http_version() == "1.1"
            and not self.parser.should_upgrade()
            and self._is_idle()
            and not self.flow.write_paused
        )

    def _says_little(self) -> bool:
        for name, value in self.headers:
            if name == b"content-length":
                return value.isdigit() and len(value) <= _LITTLE_DIGITS and int(value) <= LITTLE_BYTES
        return False

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
