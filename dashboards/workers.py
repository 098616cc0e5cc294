"""Several processes behind one socket: workers answer, the first process keeps them alive and does the jobs."""

from __future__ import annotations

import asyncio
import fcntl
import multiprocessing
import os
import re
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from socket import socket

import structlog
import uvicorn
from prometheus_client import values
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp

from dashboards.serve_error import ServeError
from dashboards.supervisor import Supervisor
from monitor.api.metrics import METRICS_DIRECTORY
from monitor.collector.context import Context
from monitor.collector.jobs import note_listening
from monitor.collector.settings import Settings
from monitor.store.patience import REQUEST

log = structlog.get_logger(__name__)

HANG_SECONDS = 25
"""A worker whose event loop hasn't turned for so long is replaced: who has a connection to it waits for nothing."""
LISTENING_SECONDS = 3.0
"""How often who answers notes it: while nobody does, no agent can be heard."""
CONNECTIONS = 80
"""To the database, of all processes: PostgreSQL's default allows 100."""

MakeApp = Callable[[Context], ASGIApp]

_FILES = ("counter", "gauge_livesum")
_RESERVED_BYTES = 64 * 1024
"""Ten times what the counts of a process take."""

_LIVE = re.compile(r"gauge_live[a-z]*_(\d+)\.db")


@dataclass(frozen=True)
class Worker:
    """What a worker is made of, handed to its process."""

    settings: Settings
    make: MakeApp
    verbose: bool

    def __call__(self) -> ASGIApp:
        """Return the worker's application; called once, in its process."""
        from dashboards import logs
        from dashboards.serve import keep_what_is_loaded

        logs.configure(verbose=self.verbose)
        count_together()
        threading.Thread(target=_end_with_the_first, name="first process", daemon=True).start()
        context = Context.open(self.settings, connections=share_of_connections(self.settings), patience=REQUEST)
        app = self.make(context)
        _TASKS.add(asyncio.get_running_loop().create_task(note_that_it_answers(context)))
        keep_what_is_loaded()
        return app


def count_together() -> None:
    """Reserve the room for what this process counts, or count alone: what is mapped without room ends it by a signal.

    prometheus-client leaves holes in its files, and a write into one on a full disk is SIGBUS: no worker could start.
    """
    paths = [Path(os.environ[METRICS_DIRECTORY]) / f"{kind}_{os.getpid()}.db" for kind in _FILES]
    try:
        for path in paths:
            with path.open("ab") as file:
                os.posix_fallocate(file.fileno(), 0, _RESERVED_BYTES)
    except OSError as error:
        log.warning(
            "no room for temporary files: this worker's counts are missing in /metrics, or stand there alone;"
            " make room and send the collector SIGHUP",
            reason=error.strerror,
        )
        for path in paths:  # an empty one is no file of counts: whoever reads them all would fail
            path.unlink(missing_ok=True)
        del os.environ[METRICS_DIRECTORY]
        values.ValueClass = values.MutexValue


_TASKS: set[asyncio.Task[None]] = set()
"""The loop itself keeps no task alive."""


async def note_that_it_answers(context: Context) -> None:
    """Note again and again that this worker hears agents, from the loop that answers them.

    The first process can't tell: were it to say so while its workers can't start, all agents would count as silent.
    """
    while True:
        try:
            await run_in_threadpool(note_listening, context)
        except Exception as error:
            log.exception("it could not be noted that a worker answers", error=type(error).__name__)
        await asyncio.sleep(LISTENING_SECONDS)


def share_of_connections(settings: Settings) -> int:
    """Return how many connections to the database a process may hold: the first has a share, too."""
    return max(4, CONNECTIONS // (settings.processes() + 1))


def _end_with_the_first() -> None:
    """End when the first process does, however it does: a socket that nobody looks after must not go on answering."""
    first = multiprocessing.parent_process()
    if first is not None:
        first.join()
        os.kill(os.getpid(), signal.SIGTERM)


def run_workers(
    config: uvicorn.Config,
    listening: socket,
    watch: Callable[[Callable[[], None]], object],
    check: Callable[[], object] = lambda: None,
) -> None:
    """Run `config.workers` workers until this process is told to stop. Raises ServeError when none can start.

    SIGHUP replaces one after the other, as after a new certificate. `watch` is given what is to be done every few
    seconds meanwhile; `check` raises ServeError where a worker need not even be started.
    """
    with metrics_directory() as directory:
        supervisor = Supervisor(config, [listening], check)
        watch(partial(_forget_the_dead, supervisor, directory))
        supervisor.run()


@contextmanager
def metrics_directory() -> Iterator[Path]:
    """Give a directory for what workers count, anew for each start: Prometheus knows that a service begins from zero."""
    try:
        directory = tempfile.TemporaryDirectory(prefix="cradlewatch-metrics-", ignore_cleanup_errors=True)
    except OSError as error:
        raise ServeError(
            "workers need a directory for what they count, and there is no place for temporary files"
            f" ({error.strerror or error}): set TMPDIR to one, or workers: 1 in collector.yaml"
        ) from None
    with directory as name, _kept(name):
        os.environ[METRICS_DIRECTORY] = name
        try:
            yield Path(name)
        finally:
            del os.environ[METRICS_DIRECTORY]


@contextmanager
def _kept(directory: str) -> Iterator[None]:
    """Lock a directory: what clears old temporary files away (tmpfiles.d) passes locked ones over."""
    number = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(number, fcntl.LOCK_SH)
        yield
    finally:
        os.close(number)


def _forget_the_dead(supervisor: Supervisor, directory: Path) -> None:
    """What a worker had in the works died with it; what it had counted stays counted."""
    alive = supervisor.pids()
    for path in directory.iterdir():
        found = _LIVE.fullmatch(path.name)
        if found is not None and int(found[1]) not in alive:
            path.unlink(missing_ok=True)
