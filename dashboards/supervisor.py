"""Keeps workers alive: one that ends or whose event loop hangs is replaced, all of them when told to."""

from __future__ import annotations

import signal
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from socket import socket

import structlog
import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors.multiprocess import Process

from monitor.model.clock import Clock, SystemClock

log = structlog.get_logger(__name__)

TURN_SECONDS = 0.25
"""How often the workers are looked at."""
START_SECONDS = 60.0
"""A worker that doesn't answer so long after its start is given up. On a busy machine the start alone takes some seconds."""


class _Server(uvicorn.Server):
    """A server that counts the turns of its event loop, ten a second."""

    turns = 0

    async def on_tick(self, counter: int) -> bool:
        """Count a turn."""
        self.turns += 1
        return await super().on_tick(counter)


class WorkerProcess(Process):
    """A worker, and for how long its event loop hasn't turned.

    It says from a thread how often the loop did: uvicorn's own worker says so much as that the thread is there.
    """

    def __init__(self, config: uvicorn.Config, sockets: list[socket]) -> None:
        """Nothing runs yet: see `start`."""
        super().__init__(config, sockets)
        self._turns = 0
        self._asked = False
        self._silent = 0.0

    @property
    def server(self) -> _Server:
        """What serves, in the worker's own process."""
        if not isinstance(self._server, _Server):
            self._server = _Server(config=self.config)
        return self._server

    def pong(self) -> None:
        """Answer one question, in the worker's own process."""
        self.child_conn.recv()
        self.child_conn.send(self.server.turns)

    def look(self, seconds: float) -> None:
        """Take what it has answered and ask again, without waiting; `seconds` have gone by since the last look."""
        self._silent += seconds
        try:
            if not self._asked:
                self.parent_conn.send(b"ping")
            self._asked = not self.parent_conn.poll()
            turns = self._turns if self._asked else self.parent_conn.recv()
        except (OSError, EOFError):  # it is ending
            return
        if turns != self._turns:
            self._turns, self._silent = turns, 0.0

    @property
    def answers(self) -> bool:
        """Whether it has come up."""
        return self._turns > 0

    @property
    def hangs(self) -> bool:
        """Whether it is too long since its event loop turned, or since it was started."""
        return self._silent > (self.config.timeout_worker_healthcheck if self.answers else START_SECONDS)

    @property
    def ails(self) -> str:
        """What it has when it hangs, for a person."""
        limit = self.config.timeout_worker_healthcheck
        return f"its event loop has not turned for {limit} s" if self.answers else f"not up within {START_SECONDS:g} s"

    @property
    def runs(self) -> bool:
        """Whether its process is there."""
        return self.process.is_alive()


class Supervisor:
    """Runs as many workers as the configuration says, until SIGTERM or SIGINT; SIGHUP replaces one after the other."""

    def __init__(self, config: uvicorn.Config, sockets: list[socket], clock: Clock | None = None) -> None:
        """Nothing runs yet: see `run`."""
        self._config, self._sockets = config, sockets
        self._clock = clock or SystemClock()
        self._workers: list[WorkerProcess] = []
        self._next: WorkerProcess | None = None
        """The one that comes up to replace the first of those below."""
        self._old: deque[WorkerProcess] = deque()
        self._retired: list[WorkerProcess] = []
        self._told: list[int] = []
        """Signals that came: a handler does no more than note them."""
        self._leaving = False

    def run(self) -> None:
        """Keep the workers alive until told to stop; then end them. To be called in the main thread."""
        with self._signals():
            self._workers = [self._start() for _ in range(self._config.workers)]
            before = self._clock.monotonic()
            while not self._leaving:
                threading.Event().wait(TURN_SECONDS)
                now = self._clock.monotonic()
                # A first process that was held up itself, as on a machine that slept, holds nothing against its workers.
                self._turn(min(now - before, 4 * TURN_SECONDS))
                before = now
        self._end()

    def failed(self) -> bool:
        """Tell whether it ended because a worker could not start."""
        return any(worker.exitcode == STARTUP_FAILURE for worker in self._workers)

    def pids(self) -> set[int | None]:
        """Return the processes of all workers, those that come and go included."""
        return {worker.pid for worker in self._all()}

    def _all(self) -> list[WorkerProcess]:
        return [*self._workers, *self._retired, *([self._next] if self._next else [])]

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Note signals meanwhile."""
        numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        before = {number: signal.signal(number, lambda number, _: self._told.append(number)) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _start(self) -> WorkerProcess:
        worker = WorkerProcess(self._config, self._sockets)
        worker.start()
        return worker

    def _turn(self, seconds: float) -> None:
        while self._told:
            if self._told.pop(0) != signal.SIGHUP:
                self._leaving = True
                return
            self._old.extend(worker for worker in self._workers if worker not in self._old)
        for place, worker in enumerate(self._workers):
            worker.look(seconds)
            if worker.hangs or not worker.runs:
                self._replace(place, worker)
        self._renew(seconds)
        self._retired = [worker for worker in self._retired if worker.runs]

    def _replace(self, place: int, worker: WorkerProcess) -> None:
        """Put another in the place of a worker that died or hangs."""
        if worker.runs:
            log.error("a worker hangs, it is ended and another takes its place", worker=worker.pid, reason=worker.ails)
        else:
            log.warning("a worker ended, and another takes its place", worker=worker.pid, exit=worker.exitcode)
        end_at_once([worker])
        if worker.exitcode == STARTUP_FAILURE:
            self._leaving = True
            return
        self._workers[place] = self._start()

    def _renew(self, seconds: float) -> None:
        """Go on with replacing those of before SIGHUP: each goes when the one that takes its place has come up."""
        while self._old and self._old[0] not in self._workers:
            self._old.popleft()  # it died meanwhile, and has been replaced
        if self._next is None:
            self._next = self._start() if self._old else None
            return
        self._next.look(seconds)
        if self._next.hangs or not self._next.runs:
            end_at_once([self._next])
            log.error("a new worker did not come up: those of before SIGHUP go on", exit=self._next.exitcode)
            self._next = None
            self._old.clear()
        elif self._next.answers:
            old = self._next  # there may be nothing left to replace
            if self._old:
                old = self._old.popleft()
                self._workers[self._workers.index(old)] = self._next
            self._next = None
            old.terminate()
            self._retired.append(old)

    def _end(self) -> None:
        """End all workers: each finishes what it has in the works."""
        workers = [worker for worker in self._all() if worker.runs]
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.join()


def end_at_once(workers: Sequence[WorkerProcess]) -> None:
    """End workers whatever they do; what they have in the works was not answered."""
    for worker in workers:
        worker.kill()
    for worker in workers:
        worker.join()
