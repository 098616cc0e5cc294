"""Lets connections in: of reports no more at once than can be worked on, the newest first; the others are told to return."""

from __future__ import annotations

import asyncio
import errno
import itertools
import select
import socket
import struct
import sys
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import structlog

from dashboards.door import Door
from dashboards.first_bytes import MOST_BYTES, Wants, wants
from dashboards.refusals import Refusals
from monitor.api.load import Load

log = structlog.get_logger(__name__)

AT_ONCE = 128
"""So many connections are taken, heard or turned away between two turns of the event loop."""
MOST_WAITING = 128
"""So many reports wait here for a place: more would not get one in time."""
WAIT_SECONDS = 0.2
"""And so long: who waits longer had better come again than hold up those who came after."""
SILENT_SECONDS = 1.0
"""Who has not said so long what it wants goes in as it is: in there it is waited for, not for ever."""
LOOK_SECONDS = 0.05
"""How often is looked who has waited for too long."""
REST_SECONDS = 0.1
"""Where the system has no room for another connection it is asked again after so long."""
LEAVE_SECONDS = 0.001
MOST_LEAVES = 8
"""Where other processes take from the same queue, what one of them leaves there is theirs for so long: once, and once more for each
report that it works on, so that who has less to do is first; but not more often."""
SAID_SECONDS = 60.0
"""And that is in the log at most so often."""

_NO_ROOM = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


@dataclass(frozen=True, slots=True)
class _Visitor:
    connection: socket.socket
    number: int
    came_at: float
    """Of one who waits for a place: when its report was there as a whole."""


class Gate:
    """Stands before the server's protocol at one socket that listens, without TLS.

    The system's queue of connections is short, and where it overflows agents knock again after one second and three. So all
    that wait there are taken at once, and each one's first bytes are looked at without taking them. A report that is there
    as a whole waits here for a place, and is answered here when it gets none, at a fraction of what the server would take
    for it. Anything else goes in at once: people, probes, long bodies, and after a second whoever has said nothing.

    Where several processes stand at the socket, who is awake would take all of a burst, and its core alone would work for
    as long as these connections are kept: so each takes a part of what waits and leaves the rest for a moment.
    """

    def __init__(
        self, listening: socket.socket, make: Callable[[], Door], load: Load, refusals: Refusals, processes: int = 1
    ) -> None:
        """Begin to let in; `make` makes who speaks with a connection, `processes` stand at the socket, with this one."""
        self._listening, self._make, self._load, self._refusals = listening, make, load, refusals
        self._processes = processes
        self._loop = asyncio.get_running_loop()
        self._silent: dict[int, _Visitor] = {}
        self._waiting: deque[_Visitor] = deque()
        self._reporting = 0
        """So many were let in with a report and have no answer yet."""
        self._first = bytearray(MOST_BYTES)
        self._entering: set[asyncio.Task[None]] = set()
        self._look_at: asyncio.TimerHandle | None = None
        self._rests: asyncio.TimerHandle | None = None
        self._say_at = 0.0
        self._ears = select.epoll()
        """Tells who said something: asking the event loop itself for each connection costs several times as much."""
        listening.setblocking(False)
        self._loop.add_reader(listening, self._take)
        self._loop.add_reader(self._ears.fileno(), self._hear)

    def close(self) -> None:
        """Let nobody in any more; who waits with a report is told to return."""
        if self._ears.closed:
            return
        self._loop.remove_reader(self._listening)
        self._loop.remove_reader(self._ears.fileno())
        for timer in (self._look_at, self._rests):
            if timer is not None:
                timer.cancel()
        self._ears.close()
        while self._waiting:
            self._turn_away(self._waiting.popleft())
        for visitor in self._silent.values():
            visitor.connection.close()
        self._silent.clear()

    async def wait_closed(self) -> None:
        """Wait for those who are on their way in."""
        await asyncio.gather(*self._entering, return_exceptions=True)

    def _take(self) -> None:
        """Take what waits in the system's queue, or this process's part of it."""
        now = self._loop.time()
        most = self._part()
        taken = 0
        for _ in range(most):
            try:
                connection, _ = self._listening.accept()
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno in _NO_ROOM:
                    self._make_room(error)
                    break
                continue  # that connection is over before it began
            taken += 1
            connection.setblocking(False)
            visitor = _Visitor(connection, connection.fileno(), now)
            if not self._sort(visitor):
                self._silent[visitor.number] = visitor
                self._ears.register(visitor.number, select.EPOLLIN | select.EPOLLET)
        self._turn()
        if taken and most < AT_ONCE and self._rests is None:
            self._rest(LEAVE_SECONDS * min(MOST_LEAVES, 1 + max(self._reporting, self._load.requests)))

    def _part(self) -> int:
        """Return how many to take. Half of an even share, since more are coming while the others wake; of a herd as many as ever."""
        if self._processes == 1:
            return AT_ONCE
        return min(AT_ONCE, max(1, _queued(self._listening) // (2 * self._processes)))

    def _make_room(self, error: OSError) -> None:
        """Too many files are open: those who wait make room, and where nobody does the next ones stay in the system's queue."""
        if self._waiting:
            self._turn_away(self._waiting.popleft())
            return
        now = self._loop.time()
        if now >= self._say_at:
            log.warning("there is no room for another connection, those that come have to wait", reason=error.strerror)
            self._say_at = now + SAID_SECONDS
        self._rest(REST_SECONDS)

    def _rest(self, seconds: float) -> None:
        self._loop.remove_reader(self._listening)
        self._rests = self._loop.call_later(seconds, self._go_on)

    def _go_on(self) -> None:
        self._rests = None
        self._loop.add_reader(self._listening, self._take)

    def _hear(self) -> None:
        """Look at those who have said something since."""
        for number, _ in self._ears.poll(0, AT_ONCE):
            visitor = self._silent.get(
                number
            )  # none where a process that was begun meanwhile still held one that is closed
            if visitor is not None and self._sort(visitor):
                self._forget(visitor)
        self._turn()

    def _forget(self, visitor: _Visitor) -> None:
        """Listen to a silent one no more."""
        del self._silent[visitor.number]
        with suppress(OSError, ValueError):  # whose connection is closed is gone already
            self._ears.unregister(visitor.connection)

    def _sort(self, visitor: _Visitor) -> bool:
        """Do with a connection as it wants; return whether that is known."""
        try:
            size = visitor.connection.recv_into(self._first, 0, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            size = 0
        if size == 0:
            visitor.connection.close()
            return True
        what = wants(self._first, size)
        if what is Wants.TO_REPORT:
            self._waiting.append(_Visitor(visitor.connection, visitor.number, self._loop.time()))
        elif what is Wants.ANYTHING_ELSE:
            self._let_in(visitor.connection, self._make())
        return what is not Wants.NOT_SAID

    def _turn(self) -> None:
        """Let in whom there is a place for, and wait no longer for others than they or it may."""
        while self._waiting and self._load.has_place(self._reporting):
            door = self._make()
            self._reporting += 1
            door.when_answered = self._answered
            self._let_in(self._waiting.pop().connection, door)
        now = self._loop.time()
        for _ in range(AT_ONCE):
            if not self._waiting or not self._is_one_too_many(now):
                break
            self._turn_away(self._waiting.popleft())
        for visitor in tuple(itertools.islice(self._silent.values(), AT_ONCE)):
            if visitor.came_at > now - SILENT_SECONDS:
                break
            self._forget(visitor)
            self._let_in(visitor.connection, self._make())
        if self._look_at is None and (self._waiting or self._silent):
            self._look_at = self._loop.call_later(LOOK_SECONDS, self._look)

    def _is_one_too_many(self, now: float) -> bool:
        return len(self._waiting) > MOST_WAITING or self._waiting[0].came_at <= now - WAIT_SECONDS

    def _look(self) -> None:
        self._look_at = None
        self._turn()

    def _answered(self) -> None:
        self._reporting -= 1
        if self._waiting:
            self._loop.call_soon(self._turn)

    def _turn_away(self, visitor: _Visitor) -> None:
        """Answer in the server's place. What was sent is read before: else the system takes the answer back."""
        with suppress(OSError):
            visitor.connection.recv_into(self._first)
            visitor.connection.send(self._refusals.closing(self._load.turn_away()))
        visitor.connection.close()

    def _let_in(self, connection: socket.socket, door: Door) -> None:
        task = self._loop.create_task(self._enter(connection, door))
        self._entering.add(task)
        task.add_done_callback(self._entering.discard)

    async def _enter(self, connection: socket.socket, door: Door) -> None:
        try:
            await self._loop.connect_accepted_socket(lambda: door, connection)
        except BaseException as error:
            # However it ends, the place and the file are free again: else one report less has a place from now on.
            connection.close()
            door.leave()
            if not isinstance(error, OSError):  # it broke off meanwhile
                raise


_TCP_INFO_BYTES = 28
"""Up to tcpi_unacked, and with it (linux/tcp.h)."""


def _queued(listening: socket.socket) -> int:
    """Return how many connections wait in the system's queue of a socket; 0 where it doesn't tell."""
    if sys.platform != "linux":
        return 0
    # Of a socket that listens tcpi_unacked is the length of its queue (net/ipv4/tcp.c, tcp_get_info).
    found = listening.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
    return int(struct.unpack_from("=I", found, _TCP_INFO_BYTES - 4)[0])
