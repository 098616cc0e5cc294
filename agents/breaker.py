"""The credential breaker: one for each (host, user) over all protocols, kept over restarts.

A recorder locks an account after a few wrong passwords. So the first login goes alone, a refusal stops all others, and
it is tried again only by a person (`retry`, or another password in the configuration) or once a day, alone again.

Before credentials go out, the attempt is written down as in flight: a killed agent doesn't try the same password once
more on every start. What an attempt whose outcome nobody knows means depends on what was known before it:

- a password that was accepted before may be tried again at once (a power cut must not blind the agent for a day);
- one that was never accepted waits ten minutes after a killed try;
- after a second killed try in a row it waits a day.

So ten restarts in a row, kills included, cost a wrong password one failed login.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import os
import secrets
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Literal, TypeVar

from agents.beside import Beside
from agents.database import DatabaseError
from agents.enduring import Enduring
from monitor.model.clock import Clock

RETRY_AFTER = timedelta(days=1)
UNFINISHED_AFTER = timedelta(minutes=10)
TRUST_SECONDS = 10.0
"""So long after an accepted login others with the same password needn't go alone."""
OTHER_PROCESS = timedelta(seconds=2)
"""So long an attempt of another process (a check beside the service) is waited for."""
FORGET_AFTER = timedelta(days=60)

_TABLES = """
CREATE TABLE IF NOT EXISTS salt (only INTEGER PRIMARY KEY CHECK (only = 1), value BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS login (
    host TEXT NOT NULL,
    user TEXT NOT NULL,
    password_digest TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('in_flight', 'open', 'refused')),
    changed_at INTEGER NOT NULL,
    unfinished INTEGER NOT NULL DEFAULT 0,
    accepted_before INTEGER NOT NULL DEFAULT 0,
    owner TEXT NOT NULL,
    PRIMARY KEY (host, user, password_digest)
) WITHOUT ROWID;
"""


class LoginHeld(Exception):
    """A login is not tried: nothing was sent."""

    def __init__(self, host: str, user: str, reason: str, until: datetime) -> None:
        """Keep who is held, why, and when the agent tries by itself again."""
        super().__init__(reason)
        self.host = host
        self.user = user
        self.reason = reason
        self.until = until

    def __str__(self) -> str:
        """Return one sentence for people."""
        return (
            f"the login of {self.user!r} at {self.host} is held: {self.reason}; "
            f"correct the password or run agent check --retry-credentials, else it is tried again after {self.until:%Y-%m-%d %H:%M} UTC"
        )


@dataclass(frozen=True)
class _Key:
    host: str
    user: str
    digest: str

    @property
    def row(self) -> tuple[str, str, str]:
        return self.host, self.user, self.digest


@dataclass(frozen=True)
class _Row:
    state: str
    changed_at: datetime
    unfinished: int
    accepted_before: bool
    owner: str


T = TypeVar("T")
_Leave = tuple[Literal["alone", "beside others"] | None, LoginHeld | None]


class Attempt:
    """One login; its outcome may be told until the connection ends, also after the `async with` has been left."""

    def __init__(self, breaker: Breaker, key: _Key, *, alone: bool) -> None:
        """Made by Breaker.attempt."""
        self._breaker = breaker
        self._key = key
        self._alone = alone
        self.decided = False

    def accepted(self) -> None:
        """The device took the credentials: further logins may run side by side."""
        self.decided = True
        self._breaker._accept(self._key)  # noqa: SLF001  (one class in two parts)

    def refused(self, *, playing: bool = False) -> None:
        """The device refused the credentials: nobody tries them again before a person or the next day.

        `playing`: with them a stream had been opened, so they were right once.
        """
        self.decided = True
        self._breaker._refuse(self._key)  # noqa: SLF001
        if playing:
            self.doubt()

    def doubt(self) -> None:
        """A stream that plays had a sign of life refused: perhaps that, and not the password, is what the device doesn't like."""
        self._breaker._refusals[self._key] += 1  # noqa: SLF001

    def works(self) -> None:
        """A request with the credentials was answered well: what others were refused is no wrong password."""
        self._breaker._refusals.pop(self._key, None)  # noqa: SLF001

    @property
    def doubted(self) -> int:
        """How often streams that played with the credentials had them refused, in a row: one was perhaps a missing right."""
        return self._breaker._refusals[self._key]  # noqa: SLF001

    @property
    def proven(self) -> bool:
        """Whether this process saw the device take the credentials, and nothing has refused them since."""
        return self._breaker._is_proven(self._key)  # noqa: SLF001

    def forbidden(self) -> None:
        """The device answered 403: a missing right if these credentials were accepted lately, else a refusal."""
        if self.proven:
            self.unclear()
        else:
            self.refused()

    def unused(self) -> None:
        """Nothing was sent after all."""
        if self._alone and not self.decided:
            self._breaker._write(partial(self._breaker._take_back, self._key))  # noqa: SLF001
        self.decided = True

    def unclear(self) -> None:
        """The device answered, and its answer says nothing about the credentials (busy, an error of its own)."""
        if self._alone and not self.decided:
            self._breaker._release(self._key, finished=True)  # noqa: SLF001
        self.decided = True


class Breaker:
    """Guards every login of the agent. One object for a process; the file may be shared with other processes.

    The disk is waited for in a thread of its own, in order: by a login before its credentials go out, and by nobody else.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        """Open or make the SQLite file; where the disk refuses it, what is known is in memory until it doesn't."""
        self._clock = clock
        self._owner = secrets.token_hex(8)
        self._locks: dict[tuple[str, str], asyncio.Lock] = {}
        self._accepted_at: dict[_Key, float] = {}
        self._refusals: Counter[_Key] = Counter()
        """Of streams that played, since this process last saw the credentials work."""
        self._seen: dict[_Key, tuple[datetime, float]] = {}
        self._digests: dict[tuple[str, str, str], str] = {}
        self._digesting = asyncio.Lock()
        self._in_progress: set[_Key] = set()
        self._beside = Beside("breaker")
        self._database = Enduring(path, _TABLES, _rescue)
        self._salt = self._database.run(self._prepare)

    @property
    def problem(self) -> str | None:
        """Why what is known is in memory alone, one sentence; None when it is in the file."""
        return self._database.problem

    def try_again(self) -> None:
        """Put what is in memory alone into the file, where the disk takes it again."""
        self._database.try_again()

    def close(self) -> None:
        """Write the outcomes that are still to be written, and close the file."""
        self._beside.finish()
        self._database.close()

    @asynccontextmanager
    async def attempt(self, host: str, user: str, password: str) -> AsyncIterator[Attempt]:
        """Wait for the turn to log in, and hold it until the outcome is known.

        `host` is the address that is contacted, as a number and without a port, so that all protocols share one
        breaker. Tell the outcome to the attempt; none told means that nobody knows it. Raises LoginHeld, and nothing
        must be sent then.
        """
        key = await self._key(host, user, password)
        async with self._lock(key):
            while not (leave := await self._ask_leave(key)):
                await self._clock.sleep(0.05)
            if leave == "alone":
                attempt = Attempt(self, key, alone=True)
                self._in_progress.add(key)
                try:
                    yield attempt
                finally:
                    self._in_progress.discard(key)
                    if not attempt.decided:
                        self._release(key, finished=False)
                return
        yield Attempt(self, key, alone=False)

    def retry(self, host: str | None = None, user: str | None = None) -> int:
        """Let a person's wish be done: clear what is held (for one host and user, or all); return how many."""
        where, values = ["(state != 'open' OR unfinished > 0)"], []
        if host is not None:
            where.append("host = ?")
            values.append(_host(host))
        if user is not None:
            where.append("user = ?")
            values.append(user)
        statement = f"DELETE FROM login WHERE {' AND '.join(where)}"  # noqa: S608  (fixed texts)
        return self._in_turn(lambda connection: connection.execute(statement, values).rowcount)

    def held(self) -> list[LoginHeld]:
        """Return every login that would be held now. Raises DatabaseError."""

        def work(connection: sqlite3.Connection) -> list[LoginHeld | None]:
            rows = connection.execute("SELECT host, user, password_digest FROM login ORDER BY host, user").fetchall()
            return [self._hold(connection, _Key(*row)) for row in rows]

        return [hold for hold in self._in_turn(work) if hold is not None]

    def _prepare(self, connection: sqlite3.Connection) -> bytes:
        """Return the file's salt, made on first use; forget what is old."""
        connection.execute("INSERT OR IGNORE INTO salt (only, value) VALUES (1, ?)", (os.urandom(16),))
        connection.execute("DELETE FROM login WHERE changed_at < ?", (_millis(self._clock.now() - FORGET_AFTER),))
        return bytes(connection.execute("SELECT value FROM salt").fetchone()[0])

    def _in_turn(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run a transaction after all outcomes that were told, and wait for it."""
        return self._beside.wait_for(lambda: self._database.run(work))

    async def _key(self, host: str, user: str, password: str) -> _Key:
        """Return the key, which holds a salted slow digest of the password and not the password."""
        identity = (_host(host), user, password)
        async with self._digesting:  # once, not once for each of sixteen channels
            if identity not in self._digests:
                self._digests[identity] = await asyncio.to_thread(_digest, password, self._salt)
        return _Key(identity[0], user, self._digests[identity])

    def _lock(self, key: _Key) -> asyncio.Lock:
        return self._locks.setdefault((key.host, key.user), asyncio.Lock())

    def _is_trusted(self, key: _Key) -> bool:
        """Accepted so lately that others needn't go alone; a longer trust would let many fail after a new password."""
        accepted_at = self._accepted_at.get(key)
        return accepted_at is not None and self._clock.monotonic() - accepted_at < TRUST_SECONDS

    def _is_proven(self, key: _Key) -> bool:
        return key in self._accepted_at

    def _hold(self, connection: sqlite3.Connection, key: _Key) -> LoginHeld | None:
        """Return why the password may not be tried now; None when it may."""
        row = _read(connection, key)
        rule = None if row is None or self._is_busy(key, row) else _rule(row)
        if row is None or rule is None:
            return None
        pause, reason = rule
        left = pause - self._since(key, row)
        if left <= timedelta(0):
            return None
        return LoginHeld(key.host, key.user, reason, self._clock.now() + left)

    def _is_busy(self, key: _Key, row: _Row) -> bool:
        """Tell whether an attempt is being made just now: here, or in another process (a check beside the service)."""
        if row.state != "in_flight":
            return False
        # An attempt of this process whose end could not be written down is no longer in progress: the rule holds it.
        foreign = row.owner != self._owner and self._since(key, row) < OTHER_PROCESS
        return foreign or key in self._in_progress

    def _since(self, key: _Key, row: _Row) -> timedelta:
        """Return how long ago the row changed: by this process's monotonic time once it has seen the row.

        So a wall clock that was stepped forward doesn't end a hold, and one that was set back doesn't prolong it beyond
        its length.
        """
        now = self._clock.monotonic()
        changed_at, monotonic = self._seen.get(key, (None, 0.0))
        if changed_at != row.changed_at:
            elapsed = max(timedelta(0), self._clock.now() - row.changed_at)
            monotonic = now - elapsed.total_seconds()
            self._seen[key] = row.changed_at, monotonic
        return timedelta(seconds=now - monotonic)

    async def _ask_leave(self, key: _Key) -> Literal["alone", "beside others"] | None:
        """Return how the login may go, None while another process is at it.

        What goes alone is written down, durably, before its credentials go out. Raises LoginHeld, also when it can't be
        written down: then nothing may be sent.
        """
        work = self._look if self._is_trusted(key) else self._begin
        if self._beside.closed:
            raise LoginHeld(key.host, key.user, "the agent ends", self._clock.now())
        asked = self._beside.begin(lambda: self._database.run(lambda connection: work(connection, key)))
        try:
            leave, hold = await asyncio.wrap_future(asked)
        except DatabaseError as error:
            raise LoginHeld(key.host, key.user, str(error), self._clock.now()) from error
        except asyncio.CancelledError:
            self._beside.later(partial(self._take_back_granted, key, asked))
            raise
        if hold is not None:
            raise hold
        return leave

    def _look(self, connection: sqlite3.Connection, key: _Key) -> _Leave:
        return "beside others", self._hold(connection, key)

    def _begin(self, connection: sqlite3.Connection, key: _Key) -> _Leave:
        row = _read(connection, key)
        if row is not None and self._is_busy(key, row):
            return None, None
        hold = self._hold(connection, key)
        if hold is None:
            self._upsert(connection, key, "in_flight")
        return "alone", hold

    def _take_back_granted(self, key: _Key, asked: Future[_Leave]) -> None:
        """Undo what was written for a login that was given up while it waited for its leave."""
        if not asked.cancelled() and asked.exception() is None and asked.result()[0] == "alone":
            with suppress(DatabaseError):  # as in _write
                self._database.run(partial(self._take_back, key))

    def _take_back(self, key: _Key, connection: sqlite3.Connection) -> None:
        """Undo that an attempt was begun: no credentials went out."""
        connection.execute(
            "UPDATE login SET state = 'open', changed_at = ?, unfinished = max(unfinished - 1, 0)"
            " WHERE host = ? AND user = ? AND password_digest = ? AND state = 'in_flight' AND owner = ?",
            (self._millis(), *key.row, self._owner),
        )

    def _release(self, key: _Key, *, finished: bool) -> None:
        """End an attempt without a verdict: `finished` when the device did answer."""
        statement = (
            "UPDATE login SET state = 'open', changed_at = ?, unfinished = CASE WHEN ? THEN 0 ELSE unfinished END"
            " WHERE host = ? AND user = ? AND password_digest = ?"
        )
        values = (self._millis(), finished, *key.row)
        self._write(lambda connection: connection.execute(statement, values))

    def _accept(self, key: _Key) -> None:
        """Trust the password for a while; a refusal that came in between stands."""
        self._accepted_at[key] = self._clock.monotonic()
        self._refusals.pop(key, None)
        statement = (
            "UPDATE login SET state = 'open', changed_at = ?, unfinished = 0, accepted_before = 1"
            " WHERE host = ? AND user = ? AND password_digest = ? AND state = 'in_flight'"
        )
        values = (self._millis(), *key.row)
        self._write(lambda connection: connection.execute(statement, values))

    def _refuse(self, key: _Key) -> None:
        """Hold the password, and measure its day by this process's monotonic time from now on."""
        self._accepted_at.pop(key, None)

        def work(connection: sqlite3.Connection) -> None:
            self._upsert(connection, key, "refused")
            row = _read(connection, key)
            if row is not None:
                self._since(key, row)

        self._write(work)

    def _write(self, work: Callable[[sqlite3.Connection], object]) -> None:
        """Write an outcome, before anybody else is given leave; whoever tells it doesn't wait for that.

        Where it fails the attempt stays in flight, which holds it; the next one says what is wrong.
        """

        def written() -> None:
            with suppress(DatabaseError):
                self._database.run(work)

        self._beside.later(written)

    def _upsert(self, connection: sqlite3.Connection, key: _Key, state: str) -> None:
        """Write that an attempt begins or was refused; a refusal also ends the memory of an acceptance."""
        # The file may be a fresh one in place of a damaged one: the digest means something only with its salt.
        connection.execute("INSERT OR IGNORE INTO salt (only, value) VALUES (1, ?)", (self._salt,))
        connection.execute(
            "INSERT INTO login (host, user, password_digest, state, changed_at, unfinished, owner)"
            " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (host, user, password_digest) DO UPDATE SET"
            " state = excluded.state, changed_at = excluded.changed_at, owner = excluded.owner,"
            " unfinished = CASE WHEN excluded.state = 'refused' THEN 0 ELSE unfinished + 1 END,"
            " accepted_before = CASE WHEN excluded.state = 'refused' THEN 0 ELSE accepted_before END",
            (*key.row, state, self._millis(), int(state == "in_flight"), self._owner),
        )

    def _millis(self) -> int:
        return _millis(self._clock.now())


def _read(connection: sqlite3.Connection, key: _Key) -> _Row | None:
    found = connection.execute(
        "SELECT state, changed_at, unfinished, accepted_before, owner FROM login"
        " WHERE host = ? AND user = ? AND password_digest = ?",
        key.row,
    ).fetchone()
    if found is None:
        return None
    state, changed_at, unfinished, accepted_before, owner = found
    return _Row(state, datetime.fromtimestamp(changed_at / 1000, UTC), unfinished, bool(accepted_before), owner)


def _rescue(damaged: sqlite3.Connection, fresh: sqlite3.Connection) -> None:
    """Copy what can be read of a damaged file: a refusal should outlive it."""
    fresh.execute(
        "INSERT OR IGNORE INTO salt (only, value) VALUES (1, ?)", damaged.execute("SELECT value FROM salt").fetchone()
    )
    for row in damaged.execute("SELECT * FROM login"):
        fresh.execute("INSERT OR REPLACE INTO login VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)


def _rule(row: _Row) -> tuple[timedelta, str] | None:
    """Return how long a login in this state is held and why; None when it is free. Pure."""
    if row.state == "refused":
        return RETRY_AFTER, "the device refused it"
    if row.state == "in_flight":
        allowed = 1 if row.accepted_before else 0
        if row.unfinished <= allowed:
            return None
        if row.unfinished == allowed + 1:
            return UNFINISHED_AFTER, "the last try was cut off before its outcome was known"
        return RETRY_AFTER, "the last tries were cut off before their outcome was known"
    if row.unfinished > 2 and not row.accepted_before:
        return UNFINISHED_AFTER, "the last tries were not answered"
    return None


def _digest(password: str, salt: bytes) -> str:
    return hashlib.scrypt(password.encode("utf-8", "surrogateescape"), salt=salt, n=2**14, r=8, p=1, dklen=32).hex()


def _host(host: str) -> str:
    """Return one spelling of an address or name."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return host.lower()


def _millis(instant: datetime) -> int:
    return round(instant.timestamp() * 1000)
