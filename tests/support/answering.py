"""An application behind the collector's own server, in a thread, on a free port."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.types import ASGIApp

from benchmarks.agent_process import until
from dashboards.serve import configure, listen
from dashboards.server import CollectorServer
from monitor.collector.settings import TlsSettings


@contextmanager
def answering(
    application: ASGIApp, address: str = "127.0.0.1:0", tls: TlsSettings | None = None
) -> Iterator[tuple[CollectorServer, tuple[str, int]]]:
    """Serve as the collector does; give the server and where it listens."""
    with listen(address) as listening:
        server = CollectorServer(configure(application, tls))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        until(lambda: server.turns > 0, 10, "the server is there")
        try:
            yield server, listening.getsockname()[:2]
        finally:
            server.should_exit = True
            thread.join()
