"""Whom the door turns away on a connection that is kept: real sockets, and an application that would be asked otherwise."""

from __future__ import annotations

import re
import socket
import ssl
import threading
from asyncio import to_thread
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import cast

import pytest
from prometheus_client import Counter
from starlette.types import Receive, Scope, Send
from structlog.testing import capture_logs

from benchmarks.agent_process import until
from dashboards import door
from dashboards.door import Door
from dashboards.serve import create_app
from dashboards.server import CollectorServer
from monitor.api.load import RETRY_SECONDS, Load
from monitor.api.routes import REPORTS
from monitor.collector.settings import TlsSettings
from support.answering import answering
from support.authority import Authority
from support.dashboard import District

MIB = 1024 * 1024
HEAD = b"POST /api/v1/reports HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n"
REPORT = HEAD + b"abc"
PAGE = b"GET /page HTTP/1.1\r\nHost: x\r\n\r\n"
REFUSED, TAKEN = b"HTTP/1.1 503 Service Unavailable\r\n", b"HTTP/1.1 200 OK\r\n"


class Application:
    """Answers whatever it is asked with the length of the body, the body `wait` not before it is let go."""

    def __init__(self) -> None:
        self.turned_away = Counter("turned_away", "How many.", registry=None)
        self.load = Load(most_requests=1, turned_away=self.turned_away)
        self.asked: list[str] = []
        self.go = threading.Event()

    def fill(self) -> None:
        """Take the only place."""
        self.load.requests = 1

    def away(self) -> float:
        """Return how many were told to return."""
        return next(iter(self.turned_away.collect())).samples[0].value

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            scope["state"]["load"] = self.load
            for kind in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{kind}.complete"})
            return
        self.asked.append(scope["path"])
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        if body == b"wait":
            await to_thread(self.go.wait)
        said = str(len(body)).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(said))]})
        await send({"type": "http.response.body", "body": said})


class Line:
    """A connection that is kept: something was asked for on it, so it is past the gate."""

    def __init__(self, connection: socket.socket, first: bytes = PAGE) -> None:
        self.connection = connection
        self._file = connection.makefile("rb")
        self.first = self.says(first)

    def close(self) -> None:
        """End the connection."""
        self._file.close()
        self.connection.close()

    def says(self, request: bytes) -> bytes:
        """Send; return the next answer as it came."""
        self.connection.sendall(request)
        return self.answer()

    def answer(self) -> bytes:
        """Return the next answer as it came, nothing when the connection is over."""
        head = b""
        while (line := self._file.readline()) not in {b"", b"\r\n"}:
            head += line
        length = re.search(rb"content-length: (\d+)", head)
        return head + line + self._file.read(int(length[1]) if length else 0)

    def rest(self) -> bytes:
        """Return all that comes until the other side closes."""
        return self._file.read()


@pytest.fixture
def application() -> Application:
    return Application()


@contextmanager
def served(application: Application, authority: Authority | None = None) -> Iterator[tuple[CollectorServer, Line]]:
    """Serve as the collector does, by TLS where there is an authority for it; give the server and a connection that is kept."""
    tls = None if authority is None else TlsSettings(certificate=authority.leaf, key=authority.leaf_key)
    with answering(application, tls=tls) as (server, address):
        connection = socket.create_connection(address, 20)
        if authority is not None:
            trusting = ssl.create_default_context(cafile=authority.file)
            connection = trusting.wrap_socket(connection, server_hostname=address[0])
        with closing(Line(connection)) as line:
            try:
                yield server, line
            finally:
                application.go.set()


def _door(server: CollectorServer) -> Door:
    (found,) = server.server_state.connections
    return cast("Door", found)


def test_it_is_the_applications_answer_counted_and_logged_as_by_it(
    empty: District, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the real application: byte by byte, and the connection goes on after both."""
    with capture_logs() as said, answering(create_app(empty.context)) as (server, address):
        server.lifespan.state["load"]._most_requests = 0
        with closing(Line(socket.create_connection(address, 20))) as line:
            at_the_door = line.says(REPORT)
            with monkeypatch.context() as patched:
                patched.setattr(Door, "_is_little_report", lambda _: False)
                behind = line.says(REPORT)
            metrics = line.says(PAGE.replace(b"/page", b"/metrics"))
    assert at_the_door.startswith(REFUSED)
    assert _alike(at_the_door) == _alike(behind)
    assert b"cradlewatch_requests_turned_away_total 2.0" in metrics
    logged = [{**one, "milliseconds": 0} for one in said if one.get("path") == REPORTS]
    assert len(logged) == 2
    assert logged[0] == logged[1]
    assert logged[0]["log_level"] == "debug"


def _alike(answer: bytes) -> bytes:
    """Return an answer without what differs from one to the next."""
    return re.sub(rb"(?m)^(date|retry-after): .+\r$", rb"\1\r", answer)


def test_those_turned_away_do_not_return_all_at_once_and_the_application_hears_nothing(
    application: Application,
) -> None:
    with served(application) as (_, line):
        application.fill()
        found = [re.search(rb"retry-after: (\d+)\r\n", line.says(REPORT)) for _ in range(200)]
        waits = {int(one[1]) for one in found if one is not None}
        assert waits <= set(range(RETRY_SECONDS[0], RETRY_SECONDS[1] + 1))
        assert len(waits) > 30
        assert (application.away(), application.asked) == (200, ["/page"])
        application.load.requests = 0
        assert line.says(REPORT).endswith(b"\r\n\r\n3")


@pytest.mark.parametrize(
    "request_",
    [
        PAGE,
        REPORT.replace(b"POST", b"PUT"),
        REPORT.replace(b"reports", b"reports/"),
        REPORT.replace(b"reports", b"reports?x"),
        REPORT.replace(b"HTTP/1.1", b"HTTP/1.0").replace(b"Host: x", b"Connection: keep-alive"),
        REPORT.replace(b"Host: x", b"Connection: close"),
        REPORT.replace(b"Host: x", b"Connection: Upgrade\r\nUpgrade: websocket"),
        REPORT.replace(b"Host: x", b"Expect: 100-continue"),
        REPORT.replace(b"Content-Length: 3", b"Content-Length: 000003"),
        HEAD.replace(b"Content-Length: 3", b"Content-Length: 65537") + b"x" * 65_537,
        HEAD.replace(b"Content-Length: 3", b"Transfer-Encoding: chunked") + b"3\r\nabc\r\n0\r\n\r\n",
    ],
    ids=[
        "a page",
        "another method",
        "another path",
        "a query",
        "an older protocol",
        "ends the connection",
        "asks for another protocol",
        "waits to be asked for its body",
        "a length with more digits than it needs",
        "a large body",
        "a body of unknown length",
    ],
)
def test_what_is_not_certain_is_left_to_the_application(application: Application, request_: bytes) -> None:
    with served(application) as (_, line):
        application.fill()
        answer = line.says(request_)
        assert (TAKEN in answer or b" 100 Continue" in answer, application.away()) == (True, 0)
        assert len(application.asked) == 2


def test_what_comes_of_a_body_that_was_turned_away_is_no_request(application: Application) -> None:
    with served(application) as (_, line):
        application.fill()
        body = PAGE * 100
        answer = line.says(HEAD.replace(b"Length: 3", b"Length: %d" % len(body)))
        assert answer.startswith(REFUSED), "before any of the body came"
        application.load.requests = 0
        assert line.says(body + REPORT).endswith(b"\r\n\r\n3")
        assert application.asked == ["/page", REPORTS]


def test_the_first_request_of_a_connection_is_turned_away_like_any_other(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gate let it in, and then somebody else took the place."""
    monkeypatch.setattr(Load, "has_place", lambda *_: True)
    with answering(application) as (_, address):
        application.fill()
        with closing(Line(socket.create_connection(address, 20), REPORT)) as line:
            assert [line.first[:12], line.says(REPORT)[:12]] == [REFUSED[:12], REFUSED[:12]]
            assert line.says(PAGE).startswith(TAKEN)
            assert application.asked == ["/page"]


def test_requests_that_come_together_are_answered_one_after_the_other(application: Application) -> None:
    with served(application) as (_, line):
        application.fill()
        line.connection.sendall(REPORT + REPORT + PAGE + REPORT)
        assert [line.answer()[:12] for _ in range(4)] == [REFUSED[:12], REFUSED[:12], TAKEN[:12], TAKEN[:12]]


def test_who_waits_for_an_answer_gets_no_other_one_before_it(application: Application) -> None:
    with served(application) as (server, line):
        line.connection.sendall(REPORT.replace(b"3\r\n\r\nabc", b"4\r\n\r\nwait"))
        until(lambda: len(application.asked) == 2, 10, "it is inside")
        application.fill()
        line.connection.sendall(REPORT)
        until(lambda: len(_door(server).pipeline) == 1, 10, "the next one is there")
        application.go.set()
        assert [line.answer()[-5:], line.answer()[-5:]] == [b"\r\n\r\n4", b"\r\n\r\n3"]


def test_who_does_not_read_what_is_said_is_listened_to_no_more(application: Application) -> None:
    """Else whoever only sends would have the answers kept for him without end; they all come when he reads on."""
    request = REPORT.replace(b"Host: x", b"Host: " + b"x" * 1000)
    with served(application) as (server, line):
        application.fill()
        line.connection.setblocking(False)
        poured, said = 0, request * 64
        while not _door(server).flow.read_paused:
            with suppress(BlockingIOError):
                poured += line.connection.send(said[poured % len(request) :])
            assert poured < 32 * MIB, "more than what the kernel's buffers hold"
        line.connection.settimeout(20)
        last = PAGE.replace(b"Host: x", b"Connection: close")
        sender = threading.Thread(target=line.connection.sendall, args=[request[poured % len(request) :] + last])
        sender.start()
        answers = line.rest()
        sender.join()
        assert answers.count(b"HTTP/1.1 ") == poured // len(request) + 2
        assert answers.count(REFUSED) == application.away()


def test_who_was_turned_away_and_says_half_a_request_is_not_waited_for(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "HEAD_SECONDS", 0.3)
    with served(application) as (_, line):
        application.fill()
        assert line.says(REPORT + REPORT[:20]).startswith(REFUSED)
        assert line.rest() == b""


def test_a_connection_is_let_go_as_soon_as_after_any_answer(application: Application) -> None:
    """An agent's body comes after its head, when the answer is out."""
    with served(application) as (server, line):
        application.fill()
        _door(server).timeout_keep_alive = 0
        assert line.says(HEAD).startswith(REFUSED)
        line.connection.sendall(b"abc")
        assert line.rest() == b""


def test_what_follows_a_refusal_is_not_cut_off_while_it_is_worked_on(application: Application) -> None:
    """In one piece with it, so that nothing else arrives that would say that the connection is in use."""
    with served(application) as (server, line):
        application.fill()
        line.connection.sendall(
            REPORT + REPORT.replace(b"reports", b"other").replace(b"3\r\n\r\nabc", b"4\r\n\r\nwait")
        )
        assert line.answer().startswith(REFUSED)
        until(lambda: len(application.asked) == 2, 10, "it is inside")
        assert _door(server).timeout_keep_alive_task is None
        application.go.set()
        assert line.answer().startswith(TAKEN)


def test_over_tls_it_is_the_same(application: Application, tmp_path: Path) -> None:
    authority = Authority(tmp_path, "district")
    with served(application, authority) as (_, line):
        application.fill()
        assert line.says(REPORT).startswith(REFUSED)
        assert (application.away(), application.asked) == (1, ["/page"])
