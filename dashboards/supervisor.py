"""Keeps workers alive: one that ends or whose event loop hangs is replaced, all of them when told to."""

from __future__ import annotations

import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from socket import socket

import structlog
import uvicorn
from uvicorn.supervisors.multiprocess import Process

from dashboards.serve_error import ServeError
from dashboards.server import CollectorServer
from dashboards.watchdog import turns_of_time
from monitor.model.clock import Clock, SystemClock

log = structlog.get_logger(__name__)

START_SECONDS = 60.0
"""A worker that doesn't answer so long after its start is given up. On a busy machine the start alone takes some seconds."""
STEADY_SECONDS = 60.0
"""A worker that ends earlier ended soon: the next one would most likely do the same."""
END_SECONDS = 4.5
"""A worker that was told to end and is there after so long is ended: some more than its requests have."""
MOST_SECONDS = 30.0
"""The longest pause between two tries."""


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
        self._age = 0.0
        self._ending = 0.0

    @property
    def server(self) -> CollectorServer:
        """What serves, in the worker's own process."""
        if not isinstance(self._server, CollectorServer):
            self._server = CollectorServer(config=self.config)
        return self._server

    def pong(self) -> None:
        """Answer one question, in the worker's own process."""
        self.child_conn.recv()
        self.child_conn.send(self.server.turns)

    def look(self, seconds: float) -> None:
        """Take what it has answered and ask again, without waiting; `seconds` have gone by since the last look."""
        self._silent += seconds
        self._age += seconds
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
    def steady(self) -> bool:
        """Whether it has been there for a while."""
        return self.answers and self._age >= STEADY_SECONDS

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

    def wait_for_end(self, seconds: float) -> bool:
        """Tell whether it has ended after it was told to, `seconds` after the last look; in the end it is made to."""
        self._ending += seconds
        if self.runs and self._ending >= END_SECONDS:
            log.warning(
                "a worker was still busy and is ended, what it had in the works is not answered", worker=self.pid
            )
            self.end_at_once()
        return not self.runs

    def end_at_once(self) -> None:
        """End it whatever it does; what it has in the works was not answered."""
        self.kill()
        self.join()


@dataclass(eq=False)
class Place:
    """Where a worker is kept, and how it went with those that were there."""

    worker: WorkerProcess | None = None
    failures: int = 0
    """So many in a row ended soon, or could not even be started."""
    pause: float = 0.0
    """Seconds until the next one is tried."""

    def lose(self, *, soon: bool) -> None:
        """Be without a worker: for 1, 2, 4 ... 30 s when it ended soon."""
        self.worker = None
        self.failures = self.failures + 1 if soon else 0
        self.pause = min(2.0 ** (self.failures - 1), MOST_SECONDS) if soon else 0.0

    def try_now(self) -> None:
        """Forget what went wrong: it may have been mended."""
        self.failures, self.pause = 0, 0.0


class Supervisor:
    """Runs as many workers as the configuration says, until SIGTERM or SIGINT; SIGHUP replaces one after the other."""

    def __init__(
        self,
        config: uvicorn.Config,
        sockets: list[socket],
        check: Callable[[], object] = lambda: None,
        clock: Clock | None = None,
    ) -> None:
        """Nothing runs yet: see `run`. `check` raises ServeError where a worker need not even be started."""
        self._config, self._sockets, self._check = config, sockets, check
        self._clock = clock or SystemClock()
        self._places = [Place() for _ in range(config.workers)]
        self._next: WorkerProcess | None = None
        """The one that comes up to replace the first of those below."""
        self._old: deque[WorkerProcess] = deque()
        self._retired: list[WorkerProcess] = []
        self._told: list[int] = []
        """Signals that came: a handler does no more than note them."""
        self._leaving = False
        self._came_up = False

    def run(self) -> None:
        """Keep the workers alive until told to stop; then end them. To be called in the main thread.

        Raises ServeError when all of them ended before any had come up.
        """
        with self._signals():
            for place in self._places:
                self._fill(place)
            for seconds in self._turns():
                self._turn(seconds)
                if self._leaving:
                    break
                if not self._came_up and not self._workers():
                    raise ServeError("no worker could start; the log says why")
        self._end()

    def pids(self) -> set[int | None]:
        """Return the processes of all workers, those that come and go included."""
        return {worker.pid for worker in self._all()}

    def _workers(self) -> list[WorkerProcess]:
        return [place.worker for place in self._places if place.worker is not None]

    def _all(self) -> list[WorkerProcess]:
        return [*self._workers(), *self._retired, *([self._next] if self._next else [])]

    def _turns(self) -> Iterator[float]:
        return turns_of_time(self._clock, threading.Event().wait)

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
        """Start a worker. Raises ServeError where it could not come up."""
        self._check()
        worker = WorkerProcess(self._config, self._sockets)
        worker.start()
        return worker

    def _turn(self, seconds: float) -> None:
        while self._told:
            if self._told.pop(0) != signal.SIGHUP:
                self._leaving = True
                return
            self._begin_renewal()
        for place in self._places:
            self._look_after(place, seconds)
        self._renew(seconds)
        self._retired = [worker for worker in self._retired if not worker.wait_for_end(seconds)]

    def _look_after(self, place: Place, seconds: float) -> None:
        worker = place.worker
        if worker is None:
            place.pause -= seconds
            if self._came_up and place.pause <= 0:
                self._fill(place)
            return
        worker.look(seconds)
        self._came_up |= worker.answers
        if worker.hangs or not worker.runs:
            self._lose(place, worker)
        elif worker.steady:
            place.failures = 0

    def _fill(self, place: Place) -> None:
        """Put a worker in an empty place."""
        try:
            place.worker = self._start()
        except ServeError as error:
            self._lost(place, soon=True, reason=str(error))

    def _lose(self, place: Place, worker: WorkerProcess) -> None:
        """Clear the place of a worker that died or hangs."""
        if worker.runs:
            log.error("a worker hangs, it is ended and another takes its place", worker=worker.pid, reason=worker.ails)
        elif worker.steady:
            log.warning("a worker ended, and another takes its place", reason=f"exit {worker.exitcode}")
        worker.end_at_once()
        self._lost(place, soon=not worker.steady, reason=f"exit {worker.exitcode}")

    def _lost(self, place: Place, *, soon: bool, reason: str) -> None:
        """Note that a place is without a worker; where workers end soon again and again, say so once."""
        said = any(item.failures for item in self._places)
        place.lose(soon=soon)
        if not self._came_up:
            log.error("a worker could not start", reason=reason)
        elif soon and not said:
            most = f"{MOST_SECONDS:g} s"
            log.error(
                "a worker ended soon after its start, others are tried ever more seldom", reason=reason, most=most
            )

    def _begin_renewal(self) -> None:
        """SIGHUP: something was mended, or put in the place of something else."""
        for place in self._places:
            place.try_now()
        self._old.extend(worker for worker in self._workers() if worker not in self._old)

    def _renew(self, seconds: float) -> None:
        """Go on with replacing those of before SIGHUP: each goes when the one that takes its place has come up."""
        there = self._workers()
        while self._old and self._old[0] not in there:
            self._old.popleft()  # it died meanwhile, and has been replaced
        try:
            if self._next is None and self._old:
                self._next = self._start()
        except ServeError as error:
            self._give_up_renewal(str(error))
        if self._next is None:
            return
        self._next.look(seconds)
        if self._next.hangs or not self._next.runs:
            reason = self._next.ails if self._next.runs else f"exit {self._next.exitcode}"
            self._next.end_at_once()
            self._give_up_renewal(reason)
        elif self._next.answers:
            self._exchange(self._next)

    def _exchange(self, new: WorkerProcess) -> None:
        """Let a new worker take the place of an old one, which finishes what it has in the works."""
        goes = new  # there may be nothing left to replace
        if self._old:
            goes = self._old.popleft()
            place = next(place for place in self._places if place.worker is goes)
            place.worker = new
        self._next = None
        goes.terminate()
        self._retired.append(goes)

    def _give_up_renewal(self, reason: str) -> None:
        log.error("a new worker could not come up, those of before SIGHUP go on", reason=reason)
        self._next = None
        self._old.clear()

    def _end(self) -> None:
        """End all workers: each has some seconds to finish what it has in the works."""
        workers = [worker for worker in self._all() if worker.runs]
        for worker in workers:
            worker.terminate()
        for seconds in self._turns() if workers else ():
            workers = [worker for worker in workers if not worker.wait_for_end(seconds)]
            if not workers:
                break
