"""The collector's process: API and pages as one application, the jobs beside it, on one socket."""

from __future__ import annotations

import asyncio
import gc
import ipaddress
import resource
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus

import structlog
import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboards.job_threads import JobThreads
from dashboards.logs import AccessLog
from dashboards.prepare import prepare
from dashboards.scheduler import Scheduler
from dashboards.serve_error import ServeError
from dashboards.server import CollectorServer
from dashboards.watchdog import start_again, watchdog
from dashboards.web.guard import SafeHeaders
from dashboards.web.pages import build_pages
from dashboards.workers import HANG_SECONDS, LISTENING_SECONDS, Worker, run_workers
from monitor.api.problems import RETRY_SECONDS, is_ours, problem_response
from monitor.api.routes import build_api
from monitor.collector.context import Context
from monitor.collector.jobs import bring_back, evaluate_due, note_clocks, note_listening, send_notices, wake_silent
from monitor.collector.settings import TlsSettings, host_and_port
from monitor.store.accounts import user_names
from monitor.store.backup import check_whole
from monitor.store.engine import forgets, in_its_words, is_away, reading
from monitor.store.patience import JOB, REQUEST

log = structlog.get_logger(__name__)

POLL_SECONDS = 1.0
"""How often the database is asked what is due: index look-ups that usually find nothing."""
NOTICE_SECONDS = 5.0
CLOCK_SECONDS = 30.0
WORKERS_SECONDS = 5.0
REQUESTS_END_SECONDS = 3
"""So long requests that are in the works may take after the process was told to stop."""
JOBS_END_SECONDS = 2.5
"""And jobs, when no worker is left. Together with the workers' own end clearly less than the ten seconds that Docker gives."""
JOBS_NICENESS = 5
"""So much jobs give way to the processes that answer: where there is more to do than the machine can, reports come first, and
judgements get less, not nothing. Not where one process does both: there a job that waits for the machine holds up who answers."""
YOUNG_OBJECTS = 20_000
"""So many new objects before they are looked through: those of a group of reports go by themselves."""
QUEUE = 65_535
"""So many connections may wait to be taken; the system cuts it to its own bound (net.core.somaxconn, mostly 4,096)."""
HANDED_DOWN = "fd:"
"""Before the number of a socket that whoever started the collector has opened: nobody can take its port meanwhile."""


_STOPS = "the collector is being stopped; nothing of this request is acknowledged, send it again later"


async def nothing(_scope: Scope, _receive: Receive, _send: Send) -> None:
    """Stand for an application where only how it is served is looked at."""


class Collector:
    """One application: what belongs to the API goes there, everything else is a page."""

    def __init__(self, api: ASGIApp, pages: ASGIApp) -> None:
        """Stand before both."""
        self._api = api
        self._pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on by its path; start and stop belong to the API."""
        if scope["type"] != "http":
            await self._api(scope, receive, send)
        elif is_ours(scope["path"]):
            await self._answer(scope, receive, send)
        else:
            await self._pages(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the API answer; a request that is broken off because the process ends is told to come again."""
        began = False

        async def watched(message: Message) -> None:
            nonlocal began
            began = True
            await send(message)

        try:
            await self._api(scope, receive, watched)
        except asyncio.CancelledError:
            if began:
                raise
            headers = {"Retry-After": str(RETRY_SECONDS), "Connection": "close"}
            await problem_response(HTTPStatus.SERVICE_UNAVAILABLE, _STOPS, headers)(scope, receive, send)


def create_app(context: Context) -> ASGIApp:
    """Return API and pages as one application. The jobs are apart: see `jobs`."""
    return AccessLog(SafeHeaders(Collector(build_api(context), build_pages(context))))


@contextmanager
def jobs(context: Context, *, answers: bool = True) -> Iterator[Scheduler]:
    """Do what is due, again and again, until the block ends: evaluations, silences, notices.

    `answers` is whether this process takes reports in as well: it is who answers that notes that agents are heard.
    """
    threads = JobThreads(context.clock, niceness=0 if answers else JOBS_NICENESS)
    scheduler = Scheduler(
        executors={"default": threads},
        timezone="UTC",
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
    )
    poll = min(POLL_SECONDS, context.settings.evaluate_every / 2000)
    for job, seconds in (
        *([(note_listening, LISTENING_SECONDS)] if answers else []),
        (note_clocks, CLOCK_SECONDS),
        (bring_back, CLOCK_SECONDS),
        (evaluate_due, poll),
        (wake_silent, poll),
        (send_notices, NOTICE_SECONDS),
    ):
        scheduler.add_job(_safely(job, context), "interval", seconds=seconds, id=job.__name__)
    _safely(note_listening, context)()  # before anything is judged: this process was not here a moment ago
    scheduler.start()
    try:
        yield scheduler
    finally:
        scheduler.shutdown(wait=False)
        if left := threads.finish(JOBS_END_SECONDS):
            log.warning("jobs are broken off, what they had not finished is due at the next start", jobs=left)


def _safely(job: Callable[[Context], int], context: Context) -> Callable[[], None]:
    """Run a job so that its failure is logged and the next turn comes."""

    def run() -> None:
        try:
            job(context)
        except Exception as error:
            # What the database says is told in one line: it comes each second until somebody has seen to it.
            said = {"exc_info": False, "reason": in_its_words(error)} if is_away(error) else {}
            log.exception("a job failed, it is tried again", job=job.__name__, error=type(error).__name__, **said)

    return run


def listen(address: str) -> socket.socket:
    """Return a socket that listens at HOST:PORT, or the one that was handed down as fd:NUMBER. Raises ServeError."""
    if address.startswith(HANDED_DOWN):
        return _handed_down(address)
    try:
        host, port = host_and_port(address)
    except ValueError as error:
        raise ServeError(f"{address!r} {error}") from None
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host, port))
        found.listen(QUEUE)
    except OSError as error:
        found.close()
        raise ServeError(
            f"can't listen at {address}: {error.strerror or error}; choose another with --listen"
        ) from None
    return found


def _handed_down(address: str) -> socket.socket:
    number = address.removeprefix(HANDED_DOWN)
    try:
        found = socket.socket(fileno=int(number))
    except (ValueError, OSError):
        raise ServeError(f"{address}: no socket was handed down under this number; write HOST:PORT") from None
    if found.family not in {socket.AF_INET, socket.AF_INET6}:
        found.detach()
        raise ServeError(f"{address}: this is no TCP socket, and agents and browsers need one; write HOST:PORT")
    if not found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        found.detach()
        raise ServeError(f"{address}: this socket does not listen; write HOST:PORT")
    return found


def address_of(listening: socket.socket, *, tls: bool = False) -> str:
    """Return the address of the pages, as a person types it."""
    host, port = listening.getsockname()[:2]
    return f"http{'s' if tls else ''}://{f'[{host}]' if ':' in host else host}:{port}"


class _Config(uvicorn.Config):
    """Nothing older than TLS 1.2 is spoken, whatever the system's own settings allow."""

    def load(self) -> None:
        super().load()
        if self.ssl is not None:
            self.ssl.minimum_version = ssl.TLSVersion.TLSv1_2


def _config(app: ASGIApp | Worker, tls: TlsSettings | None, workers: int) -> uvicorn.Config:
    config = _Config(
        app,
        factory=isinstance(app, Worker),
        workers=workers,
        # Nobody here speaks WebSocket. Where a library for it lies beside, whoever asked for it would leave the door without
        # a word, and a place among the reports would be taken for ever.
        ws="none",
        access_log=False,
        log_config=None,
        server_header=False,
        backlog=QUEUE,
        timeout_graceful_shutdown=REQUESTS_END_SECONDS,
        timeout_worker_healthcheck=HANG_SECONDS,
    )
    if tls is not None:
        config.ssl_certfile, config.ssl_keyfile = str(tls.certificate), str(tls.key)
        if tls.client_ca is not None:
            config.ssl_ca_certs, config.ssl_cert_reqs = str(tls.client_ca), ssl.CERT_REQUIRED
    return config


def configure(app: ASGIApp, tls: TlsSettings | None) -> uvicorn.Config:
    """Return how the application is served. Raises ServeError for certificates that can't be used."""
    config = _config(app, tls, 1)
    if tls is None:
        return config
    for name, path in (("certificate", tls.certificate), ("key", tls.key), ("client_ca", tls.client_ca)):
        try:
            readable_by_all = path is not None and path.stat().st_mode & 0o004
        except OSError as error:
            raise ServeError(f"tls.{name} {path} can't be read: {error.strerror}") from None
        if name == "key" and readable_by_all:
            raise ServeError(f"tls.key {path} can be read by everybody on this machine: chmod 600 {path}")
    if tls.client_ca is not None:
        try:
            ssl.create_default_context(cafile=tls.client_ca)
        except ssl.SSLError:
            sentence = f"tls.client_ca {tls.client_ca} holds no certificate in PEM: name the file of those from which agents' own come"
            raise ServeError(sentence) from None
    try:
        config.load()
    except (ssl.SSLError, OSError) as error:
        raise ServeError(
            f"the files of tls in collector.yaml can't be used ({error.strerror or error}):"
            " give a PEM certificate and the key that belongs to it, without a password"
        ) from None
    return config


def _take_new_certificate(config: uvicorn.Config, tls: TlsSettings | None) -> None:
    """Give connections from now on the certificate and key that lie there now; such that can't be used change nothing."""
    if tls is None or not isinstance(config.ssl, ssl.SSLContext):
        log.info("SIGHUP: without tls there is no certificate to be read again")
        return
    try:
        configure(nothing, tls)
        config.ssl.load_cert_chain(tls.certificate, tls.key)
    except (ServeError, OSError) as error:
        log.error("the new certificate can't be used, connections get the one of before", reason=str(error))  # noqa: TRY400  (a sentence, no fault of ours)
        return
    log.info("SIGHUP: connections from now on get the certificate that was read again")


def _allow_many_connections() -> None:
    """Let as many be open as the system allows: a district's agents all come at once after an outage, and most systems say 1,024."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def keep_what_is_loaded() -> None:
    """Look through what is loaded no more: that took a tenth of the time in which reports are stored."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)


def serve(
    context: Context, address: str, *, may_migrate: bool, tell: Callable[[str], None], verbose: bool = False
) -> None:
    """Run the collector until it is told to stop. Raises ServeError. `tell` gets the sentences for a person."""
    check_whole(context.engine)
    prepare(context.engine, may_migrate=may_migrate)
    with context.engine.connect() as connection:
        for sentence in forgets(connection):
            log.warning("what the database has acknowledged may be lost", reason=sentence)
    _allow_many_connections()
    listening = listen(address)
    with reading(context.engine) as session:
        nobody = not user_names(session)
    context.engine.dispose()  # what comes now has less patience, and connections of its own
    settings = context.settings
    workers = settings.processes()
    try:
        config = configure(create_app(context.within(REQUEST)) if workers == 1 else nothing, settings.tls)
    except ServeError:
        listening.close()
        raise
    tell(f"Cradlewatch collector: {address_of(listening, tls=settings.tls is not None)}")
    if settings.tls is None and not ipaddress.ip_address(listening.getsockname()[0]).is_loopback:
        tell(
            "It speaks plain HTTP to other machines: agents report over https only, so put a TLS proxy before it, or set tls."
        )
    if nobody:
        tell("Nobody can sign in yet: cradlewatch collector user add NAME")
    keep_what_is_loaded()
    with listening, jobs(context.within(JOB), answers=workers == 1) as scheduler:
        if workers == 1:
            server = CollectorServer(config, partial(_take_new_certificate, config, settings.tls))
            with watchdog(server, HANG_SECONDS, partial(start_again, listening)):
                server.run(sockets=[listening])
            return
        every = partial(scheduler.add_job, trigger="interval", seconds=WORKERS_SECONDS)
        config = _config(Worker(settings, create_app, verbose), settings.tls, workers)
        run_workers(config, listening, every, partial(configure, nothing, settings.tls))
