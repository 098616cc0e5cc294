"""The command `agent run`: the service with its log and its metrics."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from wsgiref.simple_server import WSGIServer

import cv2
import structlog

from agents.garbage import keep_swept, spare_what_stays
from agents.metrics import serve_metrics
from agents.regulation import site_regulation
from agents.run import Service
from agents.site import Site
from agents.state import State
from monitor.model.clock import SystemClock
from monitor.model.terminal import for_people


def run_service(site: Site, state: State, metrics: str | None) -> None:
    """Run until told to stop. Raises what building the service raises, ValueError for a wrong HOST:PORT."""
    address = None if metrics is None else host_and_port(metrics)
    cv2.setNumThreads(1)  # a view has few cells: threads that wait for each other cost more than the work
    configure_log()
    asyncio.run(_run(site, state, address))


def configure_log() -> None:
    """Send structured logs to standard error: lines for people on a terminal, logfmt elsewhere."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *(
                for_people()
                if sys.stderr.isatty()
                else (structlog.processors.format_exc_info, structlog.processors.LogfmtRenderer())
            ),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


async def _run(site: Site, state: State, address: tuple[str, int] | None) -> None:
    service = Service(site, site_regulation(site, state).regulation, state, SystemClock())
    with contextlib.ExitStack() as stack:
        if address is not None:
            server = _metrics_server(service, *address)
            stack.callback(server.shutdown)
        spare_what_stays()
        keep_swept(service.periodic)
        await service.run()


def _metrics_server(service: Service, host: str, port: int) -> WSGIServer:
    """Serve the metrics. Raises ValueError with a sentence when the address can't be had."""
    try:
        return serve_metrics(service, host, port)
    except OSError as error:
        reason = error.strerror or "no such address"
        raise ValueError(f"--metrics {host}:{port}: can't listen there ({reason}); choose another address") from None


def host_and_port(text: str) -> tuple[str, int]:
    """Read HOST:PORT. Raises ValueError with a sentence."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f"--metrics {text}: write HOST:PORT, such as 127.0.0.1:9108")
    return host.strip("[]"), int(port)
