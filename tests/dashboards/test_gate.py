"""Whom the gate lets in: real sockets, an application with few places, and a herd before it."""

from __future__ import annotations

import asyncio
import json
import resource
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, cast

import httpx2
import pytest
from prometheus_client import Counter
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from benchmarks.agent_process import until
from dashboards import gate
from dashboards.door import Door
from dashboards.gate import Gate
from dashboards.refusals import make_ready
from dashboards.serve import create_app, listen
from dashboards.server import CollectorServer
from monitor.api.load import RETRY_SECONDS, Load
from monitor.api.routes import REPORTS
from monitor.collector.settings import TlsSettings
from support.answering import answering
from support.authority import Authority
from support.dashboard import District
from support.parts import require

PLACES = 3
REPORT = b"POST /api/v1/reports HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
KEPT = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"
LIVE = b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
Address = tuple[str, int]


class Application:
    """Has three places for reports, who keep them until they are let go; answers anything else at once."""

    def __init__(self) -> None:
        self.turned_away = Counter("turned_away", "How many.", registry=None)
        self.load = Load(most_requests=PLACES, turned_away=self.turned_away)
        self.inside: list[str] = []
        self.clients: list[str] = []
        self._go = threading.Semaphore(0)

    def let_go(self, number: int) -> None:
        """Answer so many of those who keep a place."""
        for _ in range(number):
            self._go.release()

    def away(self) -> float:
        """Return how many were told to return."""
        return next(iter(self.turned_away.collect())).samples[0].value

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
            return
        self.clients.append(scope["client"][0] if scope["client"] else "")  # none of one that is gone
        if scope["path"] == REPORTS:
            await self._take(receive)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    async def _live(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        scope["state"]["load"] = self.load
        for kind in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{kind}.complete"})

    async def _take(self, receive: Receive) -> None:
        with self.load.work():
            self.inside.append((await receive())["body"].decode())
            await asyncio.to_thread(self._go.acquire)


@contextmanager
def served(application: Application, address: str = "127.0.0.1:0") -> Iterator[tuple[CollectorServer, Address]]:
    """Serve; let go who is inside at the end."""
    with answering(application, address) as found:
        try:
            yield found
        finally:
            application.let_go(1000)


@pytest.fixture
def application() -> Application:
    return Application()


@pytest.fixture
def herd() -> Iterator[Callable[..., socket.socket]]:
    """Open connections, which say something at once; all are closed in the end."""
    with ExitStack() as stack:

        def opened(address: Address, said: bytes = REPORT) -> socket.socket:
            connection = stack.enter_context(socket.create_connection(address, 20))
            connection.sendall(said)
            return connection

        yield opened


Herd = Callable[..., socket.socket]


def head_of(connection: socket.socket) -> bytes:
    """Return the first answer's head."""
    found = b""
    while b"\r\n\r\n" not in found:
        part = connection.recv(65_536)
        assert part, "the connection ended without an answer"
        found += part
    return found


def all_of(connection: socket.socket) -> bytes:
    """Return all that comes until the other side ends the connection, as it should be ended."""
    found = b""
    while part := connection.recv(65_536):
        found += part
    return found


def fill(application: Application, address: Address, herd: Herd) -> list[socket.socket]:
    """Take all places."""
    found = [herd(address) for _ in range(PLACES)]
    until(lambda: application.load.requests == PLACES, 10, "all places are taken")
    return found


def test_of_a_herd_as_many_are_let_in_as_there_are_places_and_the_rest_is_told_to_return(
    application: Application, herd: Herd
) -> None:
    with served(application) as (_, address):
        inside = fill(application, address, herd)
        others = [herd(address) for _ in range(500)]
        waits = set()
        for other in others:
            head, _, body = all_of(other).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
            headers = dict(line.split(": ", 1) for line in head.decode().lower().split("\r\n")[1:])
            assert (headers["connection"], headers["content-length"]) == ("close", str(len(body)))
            assert (json.loads(body)["status"], headers["content-type"]) == (503, "application/problem+json")
            waits.add(int(headers["retry-after"]))
        assert waits <= set(range(RETRY_SECONDS[0], RETRY_SECONDS[1] + 1))
        assert len(waits) > 30, "not all at once"
        assert (application.away(), len(application.inside)) == (500, PLACES)
        application.let_go(PLACES)
        assert all(head_of(one).startswith(b"HTTP/1.1 200") for one in inside)


def test_it_is_the_same_answer_as_behind_the_gate(empty: District, herd: Herd) -> None:
    """Of the real application: header by header, byte by byte, and counted in the same metric."""

    async def asked(address: Address) -> httpx2.Response:
        async with httpx2.AsyncClient(base_url=f"http://{address[0]}:{address[1]}") as client:
            await client.get("/health/live")  # a connection that is kept passes the gate
            return await client.post(REPORTS, content=b"abc" * 30_000)

    with answering(create_app(empty.context)) as (server, address):
        server.lifespan.state["load"]._most_requests = 0
        behind = asyncio.run(asked(address))
        at_the_gate = all_of(herd(address))
        shown = all_of(herd(address, LIVE.replace(b"/health/live", b"/metrics")))
    head, _, body = at_the_gate.partition(b"\r\n\r\n")
    names = {line.split(b":")[0].decode().lower() for line in head.split(b"\r\n")[1:]}
    assert (behind.status_code, behind.content) == (503, body)
    assert set(behind.headers) - {"date"} == names
    assert b"cradlewatch_requests_turned_away_total 2.0" in shown


def test_the_newest_is_let_in_first(application: Application, herd: Herd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "WAIT_SECONDS", 60.0)
    with served(application) as (_, address):
        fill(application, address, herd)
        first = herd(address, REPORT.replace(b"abc", b"old"))
        second = herd(address, REPORT.replace(b"abc", b"new"))
        application.let_go(1)
        until(lambda: len(application.inside) == PLACES + 1, 10, "another one is inside")
        application.let_go(1)
        until(lambda: len(application.inside) == PLACES + 2, 10, "and another one")
        application.let_go(PLACES)
        assert head_of(first).startswith(b"HTTP/1.1 200")
        assert head_of(second).startswith(b"HTTP/1.1 200")
        assert application.inside[PLACES:] == ["new", "old"]


def test_people_and_probes_are_let_in_while_reports_wait(
    application: Application, herd: Herd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "WAIT_SECONDS", 60.0)
    with served(application) as (_, address):
        fill(application, address, herd)
        waiting = [herd(address) for _ in range(20)]
        for _ in range(PLACES + 1):
            assert all_of(herd(address, LIVE)).startswith(b"HTTP/1.1 200")
        slow = herd(address, LIVE[:2])
        slow.sendall(LIVE[2:])
        assert all_of(slow).startswith(b"HTTP/1.1 200")
        application.let_go(len(waiting) + PLACES)
        assert all(head_of(one).startswith(b"HTTP/1.1 200") for one in waiting)


def test_who_says_nothing_or_half_has_no_place(application: Application, herd: Herd) -> None:
    with served(application) as (_, address):
        for said in (b"", REPORT[:10], REPORT[:-1]):
            for _ in range(5 * PLACES):
                herd(address, said)
        for _ in range(PLACES):
            application.let_go(1)
            assert head_of(herd(address)).startswith(b"HTTP/1.1 200")


def test_who_says_nothing_for_long_is_waited_for_inside(
    application: Application, herd: Herd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "SILENT_SECONDS", 0.0)
    application.let_go(3)
    with served(application) as (server, address):
        slow = [herd(address, said) for said in (b"", REPORT[:10], REPORT[:-1])]
        until(lambda: len(server.server_state.connections) == 3, 10, "they are inside")
        for one, left in zip(slow, (REPORT, REPORT[10:], REPORT[-1:]), strict=True):
            one.sendall(left)
            assert head_of(one).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "said",
    [
        b"POST /api/v1/reports HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /api/v1/reports HTTP/1.1\r\nHost: x\r\nContent-Length: 90000\r\n\r\n",
        b"POST /api/v1/reports HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n",
    ],
    ids=["without a length", "long", "waits to be asked"],
)
def test_a_body_that_may_take_its_time_is_waited_for_inside(application: Application, herd: Herd, said: bytes) -> None:
    with served(application) as (server, address):
        held = herd(address, said)
        until(lambda: len(server.server_state.connections) == 1, 10, "it is inside")
        assert all_of(herd(address, LIVE)).startswith(b"HTTP/1.1 200")
        held.close()


def test_a_place_is_given_back_however_it_ends(application: Application, herd: Herd) -> None:
    with served(application) as (_, address):
        for one in fill(application, address, herd):
            one.close()
        application.let_go(PLACES)
        until(lambda: application.load.requests == 0, 10, "nobody is inside")
        kept = fill(application, address, herd)
        application.let_go(PLACES)
        assert all(head_of(one).startswith(b"HTTP/1.1 200") for one in kept)
        for one in kept:
            one.sendall(REPORT)  # on the same connection again: that is no matter of the gate's
        until(lambda: len(application.inside) == 3 * PLACES, 10, "each came twice")
        application.let_go(PLACES)
        until(lambda: application.load.requests == 0, 10, "nobody is inside")
        application.let_go(1)
        assert head_of(herd(address)).startswith(b"HTTP/1.1 200"), "kept connections hold no place"


class NeverHeardOf(asyncio.Protocol):
    """What a WebSocket library puts in the place of the door."""

    def __init__(self, **_: object) -> None:
        """Take what the server gives."""


def test_nobody_leaves_the_door_for_another_protocol_and_keeps_a_place(
    application: Application, herd: Herd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a library for WebSockets is installed beside the collector."""
    monkeypatch.setattr("uvicorn.protocols.websockets.auto.AutoWebSocketsProtocol", NeverHeardOf)
    asks = REPORT.replace(b"Host: x", b"Host: x\r\nConnection: Upgrade\r\nUpgrade: websocket")
    with served(application) as (server, address):
        application.let_go(2 * PLACES + 1)
        for _ in range(2 * PLACES):
            assert head_of(herd(address, asks)).startswith(b"HTTP/1.1 200")
        assert head_of(herd(address)).startswith(b"HTTP/1.1 200")
        until(lambda: _reporting(server) == 0, 10, "all places are free")


def _reporting(server: CollectorServer) -> int:
    return server.servers[0]._reporting  # type: ignore[attr-defined, no-any-return]


def test_who_is_let_in_and_finds_no_place_is_turned_away_inside_and_holds_none(
    application: Application, herd: Herd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Connections that are kept may have taken it meanwhile."""
    with served(application) as (server, address):
        inside = fill(application, address, herd)
        monkeypatch.setattr(Load, "has_place", lambda *_: True)
        for _ in range(2 * PLACES):
            assert head_of(herd(address)).startswith(b"HTTP/1.1 503")
        assert application.away() == 2 * PLACES
        until(lambda: _reporting(server) == PLACES, 10, "those who found none hold none")
        application.let_go(PLACES)
        assert all(head_of(one).startswith(b"HTTP/1.1 200") for one in inside)


def test_who_needed_long_to_say_a_report_waits_for_a_place_as_long_as_others(
    application: Application, herd: Herd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long line is no reason to be turned away at once."""
    monkeypatch.setattr(gate, "WAIT_SECONDS", 60.0)
    monkeypatch.setattr(gate, "SILENT_SECONDS", 600.0)
    with served(application) as (server, address):
        fill(application, address, herd)
        slow = herd(address, REPORT[:-1])
        silent = server.servers[0]._silent  # type: ignore[attr-defined]
        until(lambda: len(silent) == 1, 10, "it has begun")
        ((number, visitor),) = silent.items()
        silent[number] = replace(visitor, came_at=visitor.came_at - 120)
        slow.sendall(REPORT[-1:])
        until(lambda: not silent, 10, "all of it is there")
        application.let_go(1)
        until(lambda: len(application.inside) == PLACES + 1, 10, "it is let in")
        application.let_go(1000)
        assert head_of(slow).startswith(b"HTTP/1.1 200")


def test_who_goes_before_there_is_a_place_leaves_nothing(
    application: Application, herd: Herd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "WAIT_SECONDS", 60.0)
    with served(application) as (server, address):
        fill(application, address, herd)
        for said in (b"", REPORT[:10], REPORT):
            herd(address, said).close()
        reset = herd(address)
        reset.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        reset.close()
        application.let_go(PLACES + 2)
        until(lambda: len(application.inside) >= PLACES + 1, 10, "they are let in")
        application.let_go(1)
        assert head_of(herd(address)).startswith(b"HTTP/1.1 200")
        until(lambda: application.load.requests == 0, 10, "nobody is inside")
        assert server.servers[0]._reporting == 0  # type: ignore[attr-defined]


def test_thousands_that_are_reset_at_any_moment_leave_no_place_and_no_file_taken(
    application: Application, herd: Herd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before a byte, within the report, while it waits, inside, after the answer; a place may be free or not."""
    monkeypatch.setattr(gate, "SILENT_SECONDS", 0.01)
    monkeypatch.setattr(gate, "WAIT_SECONDS", 0.02)
    chance = Random(11)
    with served(application) as (server, address):
        assert all_of(herd(address, LIVE)).startswith(b"HTTP/1.1 200")
        before, kept = _open_files(), list[socket.socket]()
        for _ in range(3000):
            if len(kept) > chance.randrange(2 * PLACES):
                _reset(kept.pop(chance.randrange(len(kept))))
            else:
                kept.append(one := socket.create_connection(address, 20))
                one.sendall(REPORT[: chance.choice((0, chance.randrange(len(REPORT)), len(REPORT), len(REPORT)))])
            application.let_go(chance.randrange(2))
            if kept and not chance.randrange(4):
                kept[0].setblocking(False)
                with suppress(OSError):
                    kept[0].recv(1)
        for one in kept:
            _reset(one)
        application.let_go(1000)
        until(lambda: application.load.requests == _reporting(server) == 0, 20, "all places are free")
        until(lambda: _open_files() <= before, 20, "all are closed")
        assert head_of(herd(address)).startswith(b"HTTP/1.1 200")


def _reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection.close()


class Refusing:
    """An event loop that takes no connection: some do where a socket's number belongs to one that was closed behind their back."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    async def connect_accepted_socket(self, *_: object) -> None:
        raise RuntimeError("File descriptor 9 is used by transport")


def test_whoever_fails_to_be_let_in_gives_the_place_back(
    application: Application, herd: Herd, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(application) as (server, address):
        assert all_of(herd(address, LIVE)).startswith(b"HTTP/1.1 200")
        before, door = _open_files(), server.servers[0]
        with monkeypatch.context() as patched:
            patched.setattr(door, "_loop", Refusing(door._loop))  # type: ignore[attr-defined]
            for _ in range(2 * PLACES):
                one = herd(address)
                with suppress(ConnectionResetError):  # nobody has read what it said
                    assert one.recv(1) == b""
                one.close()
        until(lambda: _reporting(server) == 0, 10, "all places are free")
        until(lambda: _open_files() <= before, 10, "all are closed")
        fill(application, address, herd)


@pytest.mark.parametrize(
    "what",
    [
        "connection_made",
        "data_received",
        "on_url",
        "on_headers_complete",
        "on_body",
        "on_message_complete",
        "on_response_complete",
    ],
)
def test_a_fault_of_the_server_itself_costs_no_place(
    application: Application, herd: Herd, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a fault of ours")

    with served(application) as (server, address):
        assert all_of(herd(address, LIVE)).startswith(b"HTTP/1.1 200")
        application.let_go(1000)
        before = _open_files()
        with monkeypatch.context() as patched:
            patched.setattr(HttpToolsProtocol, what, fail)
            for _ in range(2 * PLACES):
                one = herd(address)
                with suppress(ConnectionResetError):
                    while one.recv(65_536):
                        pass
                one.close()
        until(lambda: _reporting(server) == 0, 10, "all places are free")
        until(lambda: _open_files() <= before, 10, "all are closed")
        assert head_of(herd(address)).startswith(b"HTTP/1.1 200")


def test_no_file_is_left_open(application: Application, herd: Herd) -> None:
    with served(application) as (_, address):
        assert all_of(herd(address, LIVE)).startswith(b"HTTP/1.1 200")
        inside, before = fill(application, address, herd), _open_files()
        with ExitStack() as stack:
            for said in (b"", REPORT[:10], REPORT, LIVE):
                for _ in range(20):
                    stack.enter_context(herd(address, said))
        until(lambda: _open_files() <= before, 10, "all are closed")
        application.let_go(1000)  # one more may have had a place meanwhile
        assert all(head_of(one).startswith(b"HTTP/1.1 200") for one in inside)


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_told_to_stop_who_waits_is_told_to_return(
    application: Application, herd: Herd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "WAIT_SECONDS", 60.0)
    with served(application) as (server, address):
        inside = fill(application, address, herd)
        waiting, silent = [herd(address) for _ in range(5)], herd(address, b"")
        head_of(herd(address, LIVE))  # those before are taken
        server.should_exit = True
        assert all(all_of(one).startswith(b"HTTP/1.1 503") for one in waiting)
        assert all_of(silent) == b""
        application.let_go(PLACES)
        assert all(head_of(one).startswith(b"HTTP/1.1 200") for one in inside)


def test_told_to_stop_who_was_still_on_the_way_in_does_not_hold_up_the_end(
    application: Application, herd: Herd, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    authority = Authority(tmp_path, "district")
    trusting = ssl.create_default_context(cafile=authority.file)
    tls = TlsSettings(certificate=authority.leaf, key=authority.leaf_key)
    with answering(application, tls=tls) as (server, address), ExitStack() as stack:
        stack.callback(application.let_go, PLACES)

        def enter(connection: socket.socket, said: bytes) -> ssl.SSLSocket:
            inside = stack.enter_context(trusting.wrap_socket(connection, server_hostname="127.0.0.1"))
            inside.sendall(said)
            return inside

        on_the_way = herd(address, b"")
        at_work = enter(herd(address, b""), REPORT)  # after whom the other one has been taken as well
        until(lambda: application.load.requests == 1, 10, "a report is in the works")
        server.should_exit = True
        until(lambda: _is_refused(address), 10, "nobody is let in any more")
        late = enter(on_the_way, KEPT)
        with suppress(OSError):  # it is reset when a request is on its way
            while late.recv(65_536):
                late.sendall(KEPT)
        application.let_go(1)
        assert head_of(at_work).startswith(b"HTTP/1.1 200"), "the late one was let out before the time was over"
    assert not caplog.records, "nothing was broken off"


def _is_refused(address: Address) -> bool:
    with suppress(ConnectionRefusedError), socket.create_connection(address, 5):
        return False
    return True


def test_where_no_more_files_can_be_opened_who_waits_makes_room(
    application: Application, herd: Herd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "WAIT_SECONDS", 60.0)
    with served(application) as (_, address), ExitStack() as stack:
        inside, waiting = fill(application, address, herd), herd(address)
        head_of(herd(address, LIVE))
        ready = [stack.enter_context(socket.socket()) for _ in range(2)]
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        with socket.socket() as last:
            lowest = last.fileno()  # no lower one is free
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
        try:
            for connection in ready:
                connection.settimeout(20)
                connection.connect(address)
                connection.sendall(LIVE)
            assert all_of(waiting).startswith(b"HTTP/1.1 503"), "it made room"
            assert all_of(ready[0]).startswith(b"HTTP/1.1 200")
            assert all_of(ready[1]).startswith(b"HTTP/1.1 200"), "the second has the room of the first"
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        application.let_go(PLACES)
        assert all(head_of(one).startswith(b"HTTP/1.1 200") for one in inside)


def _has_ipv6() -> bool:
    with suppress(OSError), socket.create_server(("::1", 0), family=socket.AF_INET6):
        return True
    return False


def test_by_ipv6_the_application_sees_who_asks(application: Application, herd: Herd) -> None:
    require("IPv6 on the loopback interface", present=_has_ipv6())
    with served(application, "[::1]:0") as (_, address):
        assert all_of(herd(address, LIVE)).startswith(b"HTTP/1.1 200")
        application.let_go(1)
        assert head_of(herd(address)).startswith(b"HTTP/1.1 200")
        assert application.clients == ["::1", "::1"]


class Worker(asyncio.Protocol):
    """Speaks with whom its process's gate lets in, and answers nobody."""

    def __init__(self, came: Callable[[], None]) -> None:
        self._came = came
        self.when_answered: Callable[[], None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()
        self._came()

    def leave(self) -> None:
        """Nothing is in the works."""


async def _shared(herd: Herd, number: int, at_work: tuple[int, ...] = (0, 0), enough: int | None = None) -> list[int]:
    """Return how many of so many connections each gate at one socket that two are to share lets in, by what their processes work on already."""
    enough = number if enough is None else enough
    came, all_in, refusals = [0, 0], asyncio.Event(), await make_ready()

    def door_of(which: int) -> Door:
        def count() -> None:
            came[which] += 1
            if sum(came) == enough:
                all_in.set()

        return cast("Door", Worker(count))

    with listen("127.0.0.1:0") as listening, ExitStack() as stack:
        for _ in range(number):
            herd(listening.getsockname()[:2])
        for which, requests in enumerate(at_work):
            load = Load(most_requests=10_000)
            load.requests = requests
            own = stack.enter_context(listening.dup())
            stack.callback(Gate(own, partial(door_of, which), load, refusals, processes=2).close)
        async with asyncio.timeout(20):
            await all_in.wait()
    return came


def test_processes_at_one_socket_share_a_burst(herd: Herd) -> None:
    """One core alone would work for as long as the connections are kept: all went to whichever process was awake."""
    assert min(asyncio.run(_shared(herd, 32))) >= 12


def test_who_has_less_to_do_takes_more(herd: Herd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "MOST_LEAVES", 1000)
    busy, idle = asyncio.run(_shared(herd, 16, at_work=(1000, 0)))
    assert (busy, idle) == (4, 12), "the one rests for a second after its first part"


def test_what_is_left_for_a_process_that_hangs_is_taken_by_the_other(herd: Herd) -> None:
    assert asyncio.run(_shared(herd, 32, at_work=(1000,))) == [32, 0]


def test_a_herd_is_taken_without_a_rest(herd: Herd, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's queue is short, and what overflows knocks again after a second."""
    monkeypatch.setattr(gate, "AT_ONCE", 16)
    monkeypatch.setattr(gate, "LEAVE_SECONDS", 60.0)
    # 16 a turn until fewer than 64 are left; whoever takes a part of those rests.
    assert sum(asyncio.run(_shared(herd, 128, enough=96))) >= 96
