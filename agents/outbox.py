"""The durable queue of reports: what was put in stays until the collector has it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from agents import room
from agents.database import Database, DatabaseError
from agents.named import is_whole, kept_digest, told_digest
from agents.room import Gone, Worth, count
from monitor.model.span import Millis

MAX_BYTES = 256 * 1024 * 1024
"""What the queue may hold; `agents.room` says which reports go beyond it."""
KEEP_REJECTED = 20
"""So many refused reports are kept for a person to look at; all are counted."""

_SCHEMA = (
    """
CREATE TABLE IF NOT EXISTS report (
    id INTEGER PRIMARY KEY AUTOINCREMENT, boot TEXT NOT NULL, sequence INTEGER NOT NULL, size INTEGER NOT NULL,
    digest BLOB NOT NULL, payload BLOB NOT NULL, UNIQUE (boot, sequence)) STRICT;
DROP INDEX IF EXISTS report_size;
CREATE TABLE IF NOT EXISTS boot (boot TEXT PRIMARY KEY, last INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS rejected (
    id INTEGER PRIMARY KEY, boot TEXT NOT NULL, sequence INTEGER NOT NULL, reason TEXT NOT NULL,
    payload BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS link (
    one INTEGER PRIMARY KEY CHECK (one = 1), boot TEXT, sequence INTEGER, digest BLOB, nonce TEXT) STRICT;
CREATE TABLE IF NOT EXISTS counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
"""
    + room.SCHEMA
    + ";"
    + room.WEIGH
)


@dataclass(frozen=True)
class Entry:
    """One report in the queue."""

    id: int
    boot: str
    sequence: int
    payload: bytes


@dataclass(frozen=True)
class Slot:
    """The next place in the chain: the number, what was written before it in any boot, and the newest nonce."""

    sequence: int
    after: tuple[str, int, str] | None
    """(boot, sequence, digest). None where the chain begins: at the first report, and after the file was lost."""
    nonce: str | None
    gone: tuple[Gone, ...] = ()
    """Reports that had to go and of which the collector has to be told: in this report."""


@dataclass(frozen=True)
class OutboxStatus:
    """How the queue stands, and what happened to reports since the file was begun."""

    waiting: int
    delivered: int
    rejected: int
    dropped: int
    damaged: int
    bytes: int


class Outbox:
    """A queue in SQLite, oldest first; may be used by several threads and processes at once."""

    def __init__(
        self, path: Path, max_bytes: int = MAX_BYTES, max_days: int = room.MAX_DAYS, *, patient: bool = False
    ) -> None:
        """Open or make the file. Raises DatabaseError when that is not possible; a `patient` one at each use instead."""
        self._database = Database(path, _SCHEMA, _rescue, patient=patient)
        self._max_bytes = max_bytes
        self._max_days = max_days
        self._last: dict[str, int] = {}
        """The last numbers given by this process: a file that had to be begun afresh goes on from them."""

    @property
    def set_aside(self) -> list[Path]:
        """Damaged files that were put away; what they held is lost to sending."""
        return self._database.set_aside

    @property
    def problem(self) -> str | None:
        """Why nothing can be put in or taken out now, one sentence; None when it can."""
        return self._database.problem

    def try_again(self) -> None:
        """Where the file could not be used, see whether it can be written by now: for an agent that puts nothing in."""
        if self.problem is not None:
            with suppress(DatabaseError):
                self._database.run(lambda connection: room.grown(connection, 0))

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def put(
        self, boot: str, write: Callable[[Slot], bytes], *, worth: Worth = Worth.SAMPLE, at: Millis | None = None
    ) -> int:
        """Give the next place to `write`, store what it returns, and return its number once it is durable.

        `worth` says whether it outlives others when the queue is full; `at` is the wall clock, by which reports age. Number, place in the chain and bytes are one transaction: no number is lost or given twice, and no two reports
        follow the same one, in whichever process they are written. Raises DatabaseError when it can't be stored, and
        ValueError when the bytes alone are more than the queue may hold.
        """

        def work(connection: sqlite3.Connection) -> int:
            sequence = _next(connection, boot, self._last.get(boot, 0))
            slot = _slot(connection, sequence)
            payload = write(slot)
            if len(payload) > self._max_bytes:
                raise ValueError(
                    f"a report of {len(payload)} bytes is larger than the queue may be ({self._max_bytes})"
                )
            digest = kept_digest(payload)
            number = connection.execute(
                "INSERT INTO report (boot, sequence, payload, digest, size) VALUES (?, ?, ?, ?, ?) RETURNING id",
                (boot, sequence, payload, digest, len(payload)),
            ).fetchall()[0][0]
            connection.execute(
                "INSERT INTO link (one, boot, sequence, digest) VALUES (1, ?, ?, ?) ON CONFLICT (one) DO UPDATE"
                " SET boot = excluded.boot, sequence = excluded.sequence, digest = excluded.digest",
                (boot, sequence, digest),
            )
            room.grown(connection, len(payload))
            room.entered(connection, number, Worth.LASTING if slot.gone else worth, at)
            room.told(connection, slot.gone, boot, sequence)
            room.make_room(connection, number, self._max_bytes, self._max_days)
            return sequence

        self._last[boot] = sequence = self._database.run(work)
        return sequence

    def take(self, count: int, max_bytes: int, *, after: int = 0) -> list[Entry]:
        """Return the oldest reports, at most `count` and (but for the first) `max_bytes`; they stay in the queue.

        Only those whose id is larger than `after`. A report whose bytes no longer match their digest is removed,
        counted as damaged, and told of.
        """

        def work(connection: sqlite3.Connection, *, drop: bool) -> list[Entry] | None:
            taken: list[Entry] = []
            size = 0
            sql = "SELECT id, boot, sequence, payload, digest FROM report WHERE id > ? ORDER BY id"
            rows = connection.execute(sql, (after,)).fetchmany
            while len(taken) < count and (batch := rows(1)):
                number, boot, sequence, payload, digest = batch[0]
                if not is_whole(payload, digest):
                    if not drop:
                        return None
                    room.drop(connection, number, "damaged")
                    continue
                size += len(payload)
                if taken and size > max_bytes:
                    break
                taken.append(Entry(number, boot, sequence, payload))
            return taken

        taken = self._database.read(partial(work, drop=False))
        if taken is None:
            taken = self._database.run(partial(work, drop=True))
        return taken or []

    def delivered(self, entries: Iterable[Entry], nonce: str | None = None) -> None:
        """Remove reports that the collector has: it answered "stored" or "already have it"; keep the nonce it gave."""
        rows = [(entry.id, entry.boot, entry.sequence) for entry in entries]

        def work(connection: sqlite3.Connection) -> None:
            # By number too: after damage a fresh file begins its ids anew.
            count(connection, "delivered", sum(room.deliver(connection, *row) for row in rows))
            if nonce is not None:
                _keep_nonce(connection, nonce)

        self._database.run(work)

    def keep_nonce(self, nonce: str) -> None:
        """Keep the newest nonce that the collector gave."""
        self._database.run(lambda connection: _keep_nonce(connection, nonce))

    def nonce(self) -> str | None:
        """Return the newest nonce that is kept."""
        row = self._database.read(lambda connection: connection.execute("SELECT nonce FROM link").fetchone())
        return row[0] if row else None

    def begin_chain(self) -> None:
        """Let the next report begin a chain: the agent is enrolled anew."""
        self._database.run(lambda connection: connection.execute("DELETE FROM link"))

    def reject(self, entry: Entry, reason: str) -> None:
        """Move a report that the collector will never take out of the queue, with the reason, so that others go on.

        The collector is told its number, so that nobody is suspected of it.
        """

        def work(connection: sqlite3.Connection) -> None:
            if not room.remove(connection, entry.id, entry.boot, entry.sequence):
                return
            connection.execute(
                "INSERT INTO rejected (boot, sequence, payload, reason) VALUES (?, ?, ?, ?)",
                (entry.boot, entry.sequence, entry.payload, reason[:500]),
            )
            connection.execute(
                "DELETE FROM rejected WHERE id NOT IN (SELECT id FROM rejected ORDER BY id DESC LIMIT ?)",
                (KEEP_REJECTED,),
            )
            room.lost(connection, entry.boot, entry.sequence, kept_digest(entry.payload), "refused")
            count(connection, "rejected", 1)

        self._database.run(work)

    def rejected(self) -> list[tuple[str, int, str]]:
        """Return (boot, sequence, reason) of the latest refused reports, oldest first."""
        sql = "SELECT boot, sequence, reason FROM rejected ORDER BY id"
        return self._database.read(lambda connection: connection.execute(sql).fetchall())

    def gone(self) -> list[Gone]:
        """Return what had to go and the collector doesn't know of yet."""
        return self._database.read(room.gone)

    def newest(self) -> int:
        """Return the id of the newest report that was ever put in: what is put in later has a larger one."""

        def work(connection: sqlite3.Connection) -> int:
            row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'report'").fetchone()
            return int(row[0]) if row else 0

        return self._database.read(work)

    def status(self) -> OutboxStatus:
        """Return how the queue stands."""

        def work(connection: sqlite3.Connection) -> OutboxStatus:
            (waiting,) = connection.execute("SELECT count(*) FROM report").fetchone()
            counts = dict(connection.execute("SELECT name, value FROM counter").fetchall())
            delivered, rejected, dropped, damaged = (
                counts.get(name, 0) for name in ("delivered", "rejected", "dropped", "damaged")
            )
            return OutboxStatus(waiting, delivered, rejected, dropped, damaged, counts.get("bytes", 0))

        return self._database.read(work)


def _next(connection: sqlite3.Connection, boot: str, given: int) -> int:
    sql = "INSERT INTO boot VALUES (?, ?) ON CONFLICT (boot) DO UPDATE SET last = max(last + 1, excluded.last) RETURNING last"
    return int(connection.execute(sql, (boot, given + 1)).fetchall()[0][0])


def _slot(connection: sqlite3.Connection, sequence: int) -> Slot:
    row = connection.execute("SELECT boot, sequence, digest, nonce FROM link").fetchone()
    gone = tuple(room.to_tell(connection))
    if row is None:
        return Slot(sequence, None, None, gone)
    boot, number, digest, nonce = row
    told = told_digest(digest)
    # After damage that SQLite does not see, the chain begins anew.
    return Slot(sequence, None if boot is None or told is None else (boot, number, told), nonce, gone)


def _keep_nonce(connection: sqlite3.Connection, nonce: str) -> None:
    sql = "INSERT INTO link (one, nonce) VALUES (1, ?) ON CONFLICT (one) DO UPDATE SET nonce = excluded.nonce"
    connection.execute(sql, (nonce,))


def _rescue(damaged: sqlite3.Connection, fresh: sqlite3.Connection) -> None:
    """Copy every report that is still whole, from both ends up to the damage, and the numbers given.

    The chain begins anew: what was last written may be lost, and to follow an older one would look like a fork.
    """
    for order in ("ASC", "DESC"):
        with suppress(sqlite3.Error, UnicodeDecodeError):
            rows = damaged.execute(
                f"SELECT id, boot, sequence, digest, payload FROM report NOT INDEXED ORDER BY id {order}"  # noqa: S608
            )
            for row in rows:
                _rescue_row(row, fresh)
    with suppress(sqlite3.Error, UnicodeDecodeError):
        room.rescue(damaged, fresh)
    fresh.execute(room.WEIGH)


def _rescue_row(row: tuple[object, ...], fresh: sqlite3.Connection) -> None:
    number, boot, sequence, digest, payload = row
    whole = isinstance(payload, bytes) and is_whole(payload, digest)
    if not (whole and isinstance(payload, bytes) and isinstance(boot, str) and isinstance(sequence, int)):
        return
    sql = "INSERT OR IGNORE INTO report (id, boot, sequence, size, digest, payload) VALUES (?, ?, ?, ?, ?, ?)"
    fresh.execute(sql, (number, boot, sequence, len(payload), digest, payload))
    sql = "INSERT INTO boot VALUES (?, ?) ON CONFLICT (boot) DO UPDATE SET last = max(last, excluded.last)"
    fresh.execute(sql, (boot, sequence))
