"""Logs of the collector's process: structured, to standard error, without secrets."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from time import perf_counter
from typing import Any

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.typing import Processor

from monitor.model.terminal import for_people

log = structlog.get_logger("access")

QUIET = ("/health/", "/metrics", "/static/", "/api/v1/reports")
"""Asked for every few seconds by machines: logged at level debug, unless it fails. Who is told to return later is counted, in a metric."""


def configure(*, verbose: bool = False) -> None:
    """Send structured logs to standard error: lines for people on a terminal, JSON elsewhere."""
    level = logging.DEBUG if verbose else logging.INFO
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    terminal = sys.stderr.isatty()
    last: list[Processor] = (
        for_people()
        if terminal
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(ensure_ascii=False)]
    )
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last]
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    # A job that is still running when it is due again is left out: as meant, and told in a name of our code.
    logging.getLogger("apscheduler.scheduler").setLevel(logging.ERROR)


class AccessLog:
    """Logs each request: method, path, status, milliseconds. Never a query, a header, a cookie or a body."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap `app`."""
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and log it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status, start = 0, perf_counter()

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, watched)
        finally:
            took = round((perf_counter() - start) * 1000, 1)
            _writer(log, scope["path"], status)(
                "request", method=scope["method"], path=scope["path"], status=status, milliseconds=took
            )


def at_once(method: str, path: str, status: int) -> Callable[[], None]:
    """Return what logs such a request that was answered in no time, as AccessLog does. Nothing is looked up then: it's for thousands a second."""
    return partial(
        _writer(log.bind(), path, status), "request", method=method, path=path, status=status, milliseconds=0.0
    )


def _writer(logger: Any, path: str, status: int) -> Callable[..., None]:
    found: Callable[..., None] = logger.debug if path.startswith(QUIET) and _is_usual(status) else logger.info
    return found


def _is_usual(status: int) -> bool:
    return status < HTTPStatus.BAD_REQUEST or status == HTTPStatus.SERVICE_UNAVAILABLE
