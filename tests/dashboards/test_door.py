"""What a connection may cost before a request is there: real sockets, and strangers who never come to the point."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from starlette.types import Receive, Scope, Send

from dashboards import door
from support.answering import answering

MIB = 1024 * 1024
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
LAST = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


class Application:
    """Reads a request's body, answers with how long it was, and at /wait not before it is let go; at /full without reading it."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.waiting = threading.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        size, more = 0, scope["path"] != "/full"
        while more:
            message = await receive()
            size += len(message.get("body", b""))
            more = message.get("more_body", False)
        if scope["path"] == "/wait":
            self.waiting.set()
            await asyncio.to_thread(self.go.wait)
        body = str(size).encode()
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


@contextmanager
def served(application: Application) -> Iterator[tuple[str, int]]:
    """Serve as the collector does; let go who waits at the end."""
    with answering(application) as (_, address):
        try:
            yield address
        finally:
            application.go.set()


def _answer(connection: socket.socket) -> bytes:
    """Return all that comes until the other side closes."""
    found = b""
    with suppress(ConnectionResetError):
        while part := connection.recv(65_536):
            found += part
    return found


def test_a_body_that_nobody_read_does_not_stand_before_the_next_request() -> None:
    with served(Application()) as address, socket.create_connection(address) as connection:
        body = b"GET /wait HTTP/1.1" * 100
        connection.sendall(b"POST /full HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body))
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200"), "answered before the body came"
        connection.sendall(body + b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc")
        assert _answer(connection).endswith(b"\r\n\r\n3")


def _pour(connection: socket.socket, part: bytes, most: int) -> int:
    """Send the same again and again until the other side has had enough; return how many bytes it took."""
    sent = 0
    with suppress(OSError):
        while sent < most:
            connection.sendall(part)
            sent += len(part)
    return sent


@pytest.mark.parametrize(
    ("begin", "part"),
    [
        (b"GET / HTTP/1.1\r\n", b"x-more: " + b"a" * 1000 + b"\r\n"),
        (b"GET / HTTP/1.1\r\nx: ", b"a" * 1000),
        (b"GET /", b"a" * 1000),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n", b"x-more: " + b"a" * 1000 + b"\r\n"),
    ],
    ids=["headers", "one header", "path", "trailers"],
)
def test_a_head_without_end_is_cut_off(begin: bytes, part: bytes) -> None:
    with served(Application()) as address:
        with socket.create_connection(address, 10) as connection:
            connection.sendall(begin)
            assert _pour(connection, part * 64, 64 * MIB) < 16 * MIB, "what the kernel's buffers hold, no more"
        with socket.create_connection(address, 10) as connection:
            connection.sendall(LAST)
            assert b"200 OK" in _answer(connection)


def test_who_sends_too_large_a_head_is_told() -> None:
    with served(Application()) as address, socket.create_connection(address, 10) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nx: ")
        connection.sendall(b"a" * 60_000)
        connection.sendall(b"a" * 6_000)
        assert b"HTTP/1.1 431 " in _answer(connection)


def test_large_bodies_and_ordinary_large_heads_pass() -> None:
    head = b"POST / HTTP/1.1\r\nCookie: " + b"c" * 50_000 + b"\r\nContent-Length: 3000000\r\n\r\n"
    chunked = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    chunks = b"".join(b"3e8\r\n" + b"b" * 1000 + b"\r\n" for _ in range(500)) + b"0\r\nx-trailer: t\r\n\r\n"
    with served(Application()) as address:
        for sent, answers in ((head + b"b" * 3_000_000 + LAST, 2), (chunked + chunks, 1)):
            with socket.create_connection(address, 10) as connection:
                connection.sendall(sent)
                assert _answer(connection).count(b"HTTP/1.1 200 OK") == answers


def test_who_never_sends_a_request_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "HEAD_SECONDS", 0.3)
    application = Application()
    with served(application) as address, socket.create_connection(address, 20) as asked:
        asked.sendall(LAST.replace(b"/ ", b"/wait "))
        assert application.waiting.wait(10)
        with socket.create_connection(address, 20) as silent:
            assert _answer(silent) == b""
        with socket.create_connection(address, 20) as slow:
            slow.sendall(b"GET / HTTP/1.1\r\nx: ")
            assert _answer(slow) == b""
        with socket.create_connection(address, 20) as used:
            used.sendall(GET + b"\r\n\r\n")  # empty lines between requests are allowed, and stop uvicorn's own clock
            assert b"200 OK" in _answer(used)
        application.go.set()
        assert b"200 OK" in _answer(asked), "whoever waits for his answer is not cut off"
