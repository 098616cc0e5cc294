"""Agents in threads that give up no report: each sends the same bytes again, over a new connection, until they are taken."""

from __future__ import annotations

import json
import random
import socket
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager

from benchmarks.intake.load import Driven, whole_answer
from benchmarks.intake.reports import Request, Sender

ANSWER_SECONDS = 20.0
AGAIN_SECONDS = 0.2
"""Sooner than they are told to: what is being restarted has them at its door."""
LONGEST_PAUSE_SECONDS = 0.1
"""Between two reports of one agent."""
LAST_SECONDS = 120.0
"""So long the last ones are tried, once the load is to end."""


class AgentsLoad:
    """Load that goes on whatever happens to the collector, and what it was answered."""

    def __init__(self, port: int, senders: Sequence[Sender], seed: int) -> None:
        """Nothing is sent yet."""
        self.stored: list[tuple[str, int, int]] = []
        """(institution, first, last) of each request whose reports were all answered as stored, or as had already."""
        self.statuses: Counter[int] = Counter()
        self.had = 0
        """Reports that were taken in and whose answer did not arrive."""
        self._wrong: list[str] = []
        self._lock, self._more, self._over = threading.Lock(), threading.Condition(), threading.Event()
        self._threads = [
            threading.Thread(target=self._send, args=(port, sender, random.Random(f"{seed} {number}")), daemon=True)
            for number, sender in enumerate(senders)
        ]

    @property
    def driven(self) -> Driven:
        """What was answered, for the audit."""
        return Driven(statuses=self.statuses, stored=self.stored, wrong=self._wrong)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Send until the block ends; what is on its way then is sent until it is taken."""
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
        for thread in self._threads:
            thread.join(LAST_SECONDS + ANSWER_SECONDS)

    def wait_for(self, requests: int, seconds: float) -> None:
        """Wait until so many more requests were taken. Raises TimeoutError."""
        with self._more:
            wanted = len(self.stored) + requests
            if not self._more.wait_for(lambda: len(self.stored) >= wanted, seconds):
                raise TimeoutError(f"{requests} more requests were not taken within {seconds:g} s: {self._wrong[:3]}")

    def _send(self, port: int, sender: Sender, seeded: random.Random) -> None:
        with closing(_Line(port)) as line:
            self._send_over(line, sender, seeded)

    def _send_over(self, line: _Line, sender: Sender, seeded: random.Random) -> None:
        while not self._over.wait(seeded.uniform(0.0, LONGEST_PAUSE_SECONDS)):
            request = sender.request(seeded.randint(1, 3))
            for _ in range(int(LAST_SECONDS / AGAIN_SECONDS)):
                answer = line.ask(request)
                if answer is not None and self._is_taken(request, sender, *answer):
                    break
                threading.Event().wait(AGAIN_SECONDS)
            else:
                self._wrong.append(f"report {request.first} of {request.institution} was never taken")
                return

    def _is_taken(self, request: Request, sender: Sender, status: int, body: bytes) -> bool:
        with self._lock:
            self.statuses[status] += 1
            if status != 200:
                if status not in {429, 503}:
                    self._wrong.append(f"{status} {body[:300]!r}")
                return False
            had = body.count(b'"status":"already have it"')
            self.had += had
            if had + body.count(b'"status":"stored"') != request.last - request.first + 1:
                self._wrong.append(f"not all stored: {body[:300]!r}")
        sender.nonce = json.loads(body)["nonce"]
        with self._more:
            self.stored.append((request.institution, request.first, request.last))
            self._more.notify_all()
        return True


class _Line:
    """A connection, made anew once it broke."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None

    def ask(self, request: Request) -> tuple[int, bytes] | None:
        """Return (status, body); None where no whole answer came."""
        got = bytearray()
        try:
            if self._socket is None:
                self._socket = socket.create_connection(("127.0.0.1", self._port), ANSWER_SECONDS)
            self._socket.sendall(request.data)
            while part := self._socket.recv(65_536):
                got += part
                if (answer := whole_answer(got)) is not None:
                    return answer
        except OSError:
            pass
        self.close()
        return None

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket = None
