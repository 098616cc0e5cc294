"""Workers for tests of who keeps them alive: the smallest application that can hang, or be broken from outside."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from dashboards.serve_error import ServeError


@dataclass(frozen=True)
class Application:
    """What a worker makes its application of; it can't while there is a file `broken`, which gets a line for each try."""

    folder: Path

    def __call__(self) -> ASGIApp:
        """Return the application."""
        broken = self.folder / "broken"
        if broken.exists():
            with broken.open("a") as file:
                file.write(f"{time.monotonic()}\n")
            sys.exit(7)
        return answer

    def check(self) -> None:
        """Refuse while there is a file `refused`."""
        if (self.folder / "refused").exists():
            raise ServeError("this can't be used")


async def answer(scope: Scope, _: Receive, send: Send) -> None:
    """Answer with the process's id; asked for /hang, make a file `hangs` and let the event loop hang while threads go on."""
    if scope["path"] == "/hang":
        os.close(os.open("hangs", os.O_CREAT))
        threading.Event().wait()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"connection", b"close")]})
    await send({"type": "http.response.body", "body": str(os.getpid()).encode()})


def alone() -> None:
    """Be a single process at a free port, which is printed; it starts itself again where its event loop hangs for two seconds."""
    from dashboards import logs
    from dashboards.serve import listen
    from dashboards.server import CollectorServer
    from dashboards.watchdog import start_again, watchdog

    logs.configure()
    with listen(sys.argv[-1] if sys.argv[-2:-1] == ["--listen"] else "127.0.0.1:0") as listening:
        sys.stdout.write(f"{listening.getsockname()[1]}\n")
        sys.stdout.flush()
        server = CollectorServer(uvicorn.Config(answer, lifespan="off", access_log=False, log_config=None))
        with watchdog(server, 2, partial(start_again, listening)):
            server.run(sockets=[listening])


def main() -> None:
    """Run two workers on a free port, which is printed; those that hang for four seconds are replaced."""
    from dashboards import logs  # not needed in the workers
    from dashboards.supervisor import Supervisor

    logs.configure()
    application = Application(Path.cwd())
    with socket.create_server(("127.0.0.1", 0)) as listening:
        sys.stdout.write(f"{listening.getsockname()[1]}\n")
        sys.stdout.flush()
        config = uvicorn.Config(
            application,
            factory=True,
            workers=2,
            lifespan="off",
            access_log=False,
            log_config=None,
            timeout_worker_healthcheck=4,
        )
        try:
            Supervisor(config, [listening], application.check).run()
        except ServeError as error:
            sys.exit(str(error))
