"""Agents by the thousand in one process: each sends, is told to return, returns, until it is rid of what it has."""

from __future__ import annotations

import heapq
import os
import selectors
import socket
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from benchmarks.intake.load import whole_answer
from benchmarks.intake.reports import Request

BROKEN_SECONDS = 1.0
"""After a connection that broke off it is tried again, as an agent does."""
AT_ONCE = 400
"""So many connections are opened between two looks at the answers."""


@dataclass
class Member:
    """One agent: what it has to send, when it begins, and how often it comes (None: when it is told to)."""

    requests: Sequence[Request]
    begins: float
    every: float | None
    next: int = 0
    socket: socket.socket | None = None
    got: bytearray = field(default_factory=bytearray)
    sent_at: float = 0.0
    left: bytes = b""
    """What is still to be written of the request."""


@dataclass
class Seen:
    """What they were answered."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    """What making the load took of the machine."""
    asked: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    broken: int = 0
    untold: int = 0
    """So many were turned away without being told when to return."""
    stored: list[tuple[str, int, int]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    took: list[float] = field(default_factory=list)

    @property
    def accepted(self) -> int:
        """How many requests were taken."""
        return self.statuses[200]

    @property
    def p99(self) -> float:
        """The seconds within which 99 of 100 accepted requests were answered; infinite where none was."""
        return sorted(self.took)[int(0.99 * len(self.took))] if self.took else float("inf")


def run_herd(port: int, members: Sequence[Member], seconds: float | None, haste: float = 1.0) -> Seen:
    """Let them send until all are rid of their requests; with `seconds` only those on their way are waited for after that.

    They wait for `haste` times as long as they are told to.
    """
    return _Herd(port, members, seconds, haste).run()


class _Herd:
    def __init__(self, port: int, members: Sequence[Member], seconds: float | None, haste: float) -> None:
        self._port, self._members, self._haste = port, members, haste
        self._began = time.monotonic()
        self._end = None if seconds is None else self._began + seconds
        self._due = [(self._began + member.begins, number) for number, member in enumerate(members)]
        heapq.heapify(self._due)
        self._selector = selectors.DefaultSelector()
        self._open = 0
        self._seen = Seen()

    def run(self) -> Seen:
        used = sum(os.times()[:2])
        with self._selector:
            while self._due or self._open:
                now = time.monotonic()
                over = self._end is not None and now >= self._end
                if over:
                    self._due.clear()
                for _ in range(AT_ONCE):
                    if not self._due or self._due[0][0] > now:
                        break
                    self._send(heapq.heappop(self._due)[1])
                pause = max(0.0, self._due[0][0] - time.monotonic()) if self._due else 1.0
                for key, events in self._selector.select(min(pause, 1.0)):
                    self._turn(key.data, events)
        self._seen.seconds = (self._end or time.monotonic()) - self._began
        self._seen.cpu_seconds = sum(os.times()[:2]) - used
        return self._seen

    def _send(self, number: int) -> None:
        member = self._members[number]
        member.sent_at, member.left = time.monotonic(), member.requests[member.next].data
        self._seen.asked += 1
        if member.socket is None:
            member.socket = socket.socket()
            member.socket.setblocking(False)
            with suppress(BlockingIOError):
                member.socket.connect(("127.0.0.1", self._port))
            self._selector.register(member.socket, selectors.EVENT_WRITE, number)
        else:
            self._selector.modify(member.socket, selectors.EVENT_WRITE, number)
        self._open += 1

    def _turn(self, number: int, events: int) -> None:
        member = self._members[number]
        assert member.socket is not None
        try:
            if events & selectors.EVENT_WRITE:
                member.left = member.left[member.socket.send(member.left) :]
                if not member.left:
                    self._selector.modify(member.socket, selectors.EVENT_READ, number)
                return
            part = member.socket.recv(65_536)
        except BlockingIOError:
            return
        except OSError:
            part = b""
        member.got += part
        head = bytes(member.got.partition(b"\r\n\r\n")[0]).lower()
        answer = whole_answer(member.got)
        if answer is not None:
            self._answered(number, head, *answer)
        elif not part:
            self._broke(number)

    def _broke(self, number: int) -> None:
        """The connection ended without an answer: the agent comes again."""
        waited = self._members[number].sent_at > 0
        self._close(number)
        if waited:
            self._seen.broken += 1
            self._open -= 1
            self._again(number, BROKEN_SECONDS)

    def _answered(self, number: int, head: bytes, status: int, body: bytes) -> None:
        member, now = self._members[number], time.monotonic()
        took, member.sent_at = now - member.sent_at, 0.0
        self._open -= 1
        self._seen.statuses[status] += 1
        pause = 0.0
        if status == 200:
            self._seen.took.append(took)
            self._taken(member.requests[member.next], body)
            member.next += 1
        else:
            told = head.partition(b"retry-after:")[2].split(b"\r\n", 1)[0].strip()
            self._seen.untold += not told.isdigit()
            pause = self._haste * float(told) if told.isdigit() else BROKEN_SECONDS
        if b"connection: close" in head:
            self._close(number)
        if member.next == len(member.requests):
            self._close(number)
            return
        self._again(number, pause if member.every is None else max(0.0, member.every - took))

    def _taken(self, request: Request, body: bytes) -> None:
        had = body.count(b'"status":"stored"') + body.count(b'"status":"already have it"')
        if had == request.last - request.first + 1:
            self._seen.stored.append((request.institution, request.first, request.last))
        else:
            self._seen.wrong.append(f"not all stored: {body[:300]!r}")

    def _again(self, number: int, pause: float) -> None:
        heapq.heappush(self._due, (time.monotonic() + pause, number))

    def _close(self, number: int) -> None:
        member = self._members[number]
        if member.socket is not None:
            self._selector.unregister(member.socket)
            member.socket.close()
            member.socket = None
        member.got.clear()
