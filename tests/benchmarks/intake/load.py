"""Sends prepared requests over many connections from a process of its own, and keeps what was answered."""

from __future__ import annotations

import heapq
import multiprocessing
import multiprocessing.connection
import os
import selectors
import socket
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from benchmarks.intake.reports import Request

Took = tuple[float, float]
"""(seconds since the load began, at the answer; seconds that the answer took)."""


@dataclass(frozen=True)
class Lane:
    """One connection: it sends the next request when the one before was answered, and not sooner than `every` seconds."""

    requests: Sequence[Request]
    every: float = 0.0
    name: str = ""


@dataclass
class Driven:
    """What was answered."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)
    stored: list[tuple[str, int, int]] = field(default_factory=list)
    """(institution, first, last) of each request whose reports were all answered as stored."""
    wrong: list[str] = field(default_factory=list)
    took: dict[str, list[Took]] = field(default_factory=dict)
    """Of requests answered 200, by the lane's name."""

    @property
    def reports(self) -> int:
        """How many reports were answered as stored."""
        return sum(last - first + 1 for _, first, last in self.stored)

    def quantile(self, share: float, name: str = "") -> float:
        """Return the seconds within which this share of a lane's requests was answered; infinite where none was."""
        found = sorted(took for _, took in self.took.get(name, ()))
        return found[min(len(found) - 1, int(share * len(found)))] if found else float("inf")


class _Line:
    """A connection that has at most one request on its way, made anew when the collector has closed it."""

    def __init__(self, port: int, lane: Lane, selector: selectors.BaseSelector) -> None:
        self.lane = lane
        self._left: Iterator[Request] = iter(lane.requests)
        self._port = port
        self._selector = selector
        self._socket: socket.socket | None = None
        self._got = bytearray()
        self.sent: Request | None = None
        self.sent_at = 0.0

    def send(self) -> bool:
        """Send the next request; False when there is none: the connection is closed then."""
        self.sent = next(self._left, None)
        if self.sent is None:
            self._close()
            return False
        if self._socket is None:
            self._socket = _connect(self._port)
            self._selector.register(self._socket, selectors.EVENT_READ, self)
        self.sent_at = time.monotonic()
        self._socket.sendall(self.sent.data)
        return True

    def receive(self) -> tuple[int, bytes] | None:
        """Take what came; return (status, body) once the answer is whole. Raises ConnectionError when it breaks off."""
        assert self._socket is not None
        part = self._socket.recv(65_536)
        if not part:
            self._close()
            if self.sent is not None:
                raise ConnectionError("the collector closed the connection before it answered")
            return None
        self._got += part
        return whole_answer(self._got)

    def _close(self) -> None:
        if self._socket is not None:
            self._selector.unregister(self._socket)
            self._socket.close()
            self._socket = None


def _connect(port: int) -> socket.socket:
    found = socket.create_connection(("127.0.0.1", port))
    found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return found


def whole_answer(got: bytearray) -> tuple[int, bytes] | None:
    """Return (status, body) of an answer that is whole and clear the bytes; None while it isn't."""
    end = got.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = bytes(got[:end]).lower()
    length = int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0] or b"0")
    if len(got) < end + 4 + length:
        return None
    answer = int(head[9:12]), bytes(got[end + 4 : end + 4 + length])
    got.clear()
    return answer


def drive(port: int, lanes: Iterable[Lane]) -> Driven:
    """Send all requests of all lanes from another process; return what was answered."""
    context = multiprocessing.get_context("fork")  # what was prepared is shared, not copied
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_drive, args=(port, list(lanes), theirs))
    process.start()
    theirs.close()
    try:
        found: Driven = ours.recv()
    finally:
        process.join(10)
        process.kill()
    return found


def _drive(port: int, lanes: list[Lane], pipe: multiprocessing.connection.Connection) -> None:
    driven = Driven()
    began = time.monotonic()
    used = sum(os.times()[:2])
    with selectors.DefaultSelector() as selector:
        lines = [_Line(port, lane, selector) for lane in lanes]
        # Those that send now and then don't do it at the same moment.
        waiting = [(began + line.lane.every * number / len(lines), number) for number, line in enumerate(lines)]
        numbers = {id(line): number for number, line in enumerate(lines)}
        running = len(lines)
        while running:
            while waiting and waiting[0][0] <= time.monotonic():
                running -= not lines[heapq.heappop(waiting)[1]].send()
            pause = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
            for key, _ in selector.select(pause) if running else ():
                line: _Line = key.data
                answer = line.receive()
                if answer is not None:
                    _note(driven, line, answer, began)
                    heapq.heappush(waiting, (line.sent_at + line.lane.every, numbers[id(line)]))
    driven.seconds = time.monotonic() - began
    driven.cpu_seconds = sum(os.times()[:2]) - used
    pipe.send(driven)


def _note(driven: Driven, line: _Line, answer: tuple[int, bytes], began: float) -> None:
    status, body = answer
    sent, now = line.sent, time.monotonic()
    assert sent is not None
    line.sent = None
    driven.statuses[status] += 1
    if status != 200:
        driven.wrong.append(f"{status} {body[:200]!r}")
        return
    driven.took.setdefault(line.lane.name, []).append((now - began, now - line.sent_at))
    if body.count(b'"status":"stored"') == sent.last - sent.first + 1:
        driven.stored.append((sent.institution, sent.first, sent.last))
    else:
        driven.wrong.append(f"not all stored: {body[:300]!r}")
